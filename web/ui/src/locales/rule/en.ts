/** The texts of what puts machines into groups. */
export default {
  rule: {
    title: 'Rule',
    how: 'How a rule is written',
    help: 'Fields: name, id, host, label.KEY, host.label.KEY. Tests: =, !=, in (…), not in (…), ~ and !~ with * and ?, exists. Joined by and, or, not and parentheses. Whatever fits is in the group, also what comes later.',
    go_there: 'Go to this place',
    finds: 'Finds {count} machine | Finds {count} machines',
    within: 'Groups within it',
    within_hint: 'All of their machines are in this group, too.',
    because: 'Because of',
    source_direct: 'Put in',
    source_rule: 'Rule',
    source_nested: 'Inner group',
    made_of: 'Made of',
    by_hand: 'Put in by hand',
    as_list: 'Show as a list',
  },
}
