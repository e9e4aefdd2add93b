// What the shop sells. The colour is the liquor's.

export const TEAS = [
  { id: 'dongding', en: 'Dong Ding oolong', zh: '凍頂烏龍', grams: 150, price: 480, colour: '#c8902f' },
  { id: 'ruby', en: 'Sun Moon Lake ruby', zh: '日月潭紅玉', grams: 75, price: 520, colour: '#a3431f' },
  { id: 'baozhong', en: 'Wenshan baozhong', zh: '文山包種', grams: 100, price: 360, colour: '#b9ac3c' },
  { id: 'beauty', en: 'Oriental beauty', zh: '東方美人', grams: 75, price: 890, colour: '#b8682a' },
  { id: 'alishan', en: 'Alishan high mountain', zh: '阿里山高山茶', grams: 150, price: 720, colour: '#cdb748' },
  { id: 'tieguanyin', en: 'Muzha tieguanyin', zh: '木柵鐵觀音', grams: 150, price: 640, colour: '#8c5220' },
] as const

export type Tea = (typeof TEAS)[number]

export function teaNamed(id: unknown): Tea | undefined {
  return TEAS.find((tea) => tea.id === id)
}
