import type { OverviewTexts } from '..'

export default {
  top: {
    title: '使用量の多い仮想マシン',
    by: '平均の大きい順',
    cpu: 'CPU',
    steal: 'ホスト待ち',
    memory: '使用メモリー',
    read: 'ディスク読み取り量',
    written: 'ディスク書き込み量',
    sent: 'ネットワーク送信量',
    explore: '履歴を調べる',
    failed: '読み込めませんでした。',
    nobody: '使用しているものはありません。',
    no_gaps: '24 時間以内の欠測なし',
    full_in: '{count} 日後に満杯',
  },
} satisfies OverviewTexts
