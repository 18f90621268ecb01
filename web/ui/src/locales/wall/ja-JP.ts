import type { WallTexts } from '..'

export default {
  wall: {
    of: '表示対象',
    of_all: 'すべて',
    of_group: 'グループ',
    of_picked: '個別に選択',
    metric: '値',
    metric_cpu: 'CPU（vCPU に対する割合）',
    metric_memory: '使用メモリー',
    metric_disk: 'ディスク転送量',
    metric_network: 'ネットワーク転送量',
    order: '並び順',
    order_name: '名前順',
    order_value: '大きい順',
    size: 'タイル',
    size_small: '小',
    size_middle: '中',
    size_large: '大',
    fullscreen: '全画面',
    choose_group: '上でグループを選択してください。',
    choose_picked: '上で 1 つ以上選択してください。',
    none: '表示する仮想マシンはありません。',
    more: '全 {total} 台のうち {shown} 台を表示しています。グループを使うと必要なものだけを表示できます。',
    tile: '{name}：{state}、{value}',
  },
} satisfies WallTexts
