/** The texts of looking back: comparing. */
export default {
  compare: {
    label: 'Compare with',
    none: 'Compare with …',
    h1: 'One hour before',
    d1: 'One day before',
    d7: 'One week before',
    d28: 'Four weeks before',
    was: 'was {value}',
  },
}
