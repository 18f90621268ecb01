import type { WallTexts } from '..'

export default {
  wall: {
    of: '显示',
    of_all: '全部',
    of_group: '分组',
    of_picked: '手动选择',
    metric: '数值',
    metric_cpu: 'CPU（占 vCPU）',
    metric_memory: '已用内存',
    metric_disk: '磁盘吞吐量',
    metric_network: '网络吞吐量',
    order: '排序',
    order_name: '按名称',
    order_value: '从大到小',
    size: '磁贴',
    size_small: '小',
    size_middle: '中',
    size_large: '大',
    fullscreen: '全屏',
    choose_group: '请在上方选择分组。',
    choose_picked: '请在上方至少选择一项。',
    none: '没有可显示的虚拟机。',
    more: '显示前 {shown} 台，共 {total} 台。使用分组可只显示关注的虚拟机。',
    tile: '{name}：{state}，{value}',
  },
} satisfies WallTexts
