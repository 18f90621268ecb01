import type { RuleTexts } from '..'

export default {
  rule: {
    title: '规则',
    how: '规则写法',
    help: '字段：name、id、host、label.键、host.label.键。判断：=、!=、in (…)、not in (…)、~ 和 !~（可用 * 与 ?）、exists。用 and、or、not 和括号组合。符合的虚拟机都在分组内，包括以后新增的。',
    go_there: '跳到此处',
    finds: '匹配 {count} 台虚拟机',
    within: '包含的分组',
    within_hint: '这些分组的虚拟机也都在本分组内。',
    because: '来源',
    source_direct: '手动加入',
    source_rule: '规则',
    source_nested: '子分组',
    made_of: '组成',
    by_hand: '手动加入',
    as_list: '以列表显示',
  },
} satisfies RuleTexts
