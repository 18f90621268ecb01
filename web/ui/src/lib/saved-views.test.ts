import { describe, expect, it } from 'vitest'
import { parseViews, withView } from './saved-views'

describe('parseViews', () => {
  it('reads what was kept', () => {
    const views = [{ name: 'mine', query: 'state=running' }]
    expect(parseViews(JSON.stringify(views))).toEqual(views)
  })

  it.each([null, '', '{', '{"name":"x"}', '[1,null,{"name":""},{"name":"x"}]'])('is empty for %j', (text) => {
    expect(parseViews(text)).toEqual([])
  })
})

describe('withView', () => {
  it('keeps names apart, and in order', () => {
    const views = withView(withView([], { name: 'b', query: '1' }), { name: ' a ', query: '2' })
    expect(views.map((one) => one.name)).toEqual(['a', 'b'])
    expect(withView(views, { name: 'a', query: '3' })).toEqual([{ name: 'a', query: '3' }, { name: 'b', query: '1' }])
    expect(withView(views, { name: '  ', query: '3' })).toEqual(views)
  })
})
