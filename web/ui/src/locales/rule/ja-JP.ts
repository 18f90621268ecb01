import type { RuleTexts } from '..'

export default {
  rule: {
    title: 'ルール',
    how: 'ルールの書き方',
    help: 'フィールド：name、id、host、label.キー、host.label.キー。条件：=、!=、in (…)、not in (…)、~ と !~（* と ? が使えます）、exists。and、or、not と括弧で組み合わせます。後から加わるものも含め、合致する仮想マシンがグループに入ります。',
    go_there: 'この位置へ移動',
    finds: '{count} 台が該当',
    within: '含まれるグループ',
    within_hint: 'それらの仮想マシンもこのグループに入ります。',
    because: '理由',
    source_direct: '手動で追加',
    source_rule: 'ルール',
    source_nested: '内側のグループ',
    made_of: '構成',
    by_hand: '手動で追加',
    as_list: '一覧で表示',
  },
} satisfies RuleTexts
