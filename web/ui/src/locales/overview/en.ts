/** The texts of the overview's figures. */
export default {
  top: {
    title: 'Top consumers',
    by: 'by their mean',
    cpu: 'CPU',
    steal: 'Waiting for the host',
    memory: 'Memory used',
    read: 'Disk bytes read',
    written: 'Disk bytes written',
    sent: 'Network bytes sent',
    explore: 'Explore their history',
    failed: 'This could not be loaded.',
    nobody: 'Nobody uses any.',
    no_gaps: 'None in 24 hours',
    full_in: 'Full in {count} day | Full in {count} days',
  },
}
