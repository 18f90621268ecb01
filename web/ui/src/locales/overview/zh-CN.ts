import type { OverviewTexts } from '..'

export default {
  top: {
    title: '资源占用最高',
    by: '按平均值',
    cpu: 'CPU',
    steal: '等待主机',
    memory: '已用内存',
    read: '磁盘读取量',
    written: '磁盘写入量',
    sent: '网络发送量',
    explore: '查看历史',
    failed: '加载失败。',
    nobody: '无占用。',
    no_gaps: '24 小时内无缺失',
    full_in: '{count} 天后写满',
  },
} satisfies OverviewTexts
