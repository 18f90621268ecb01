import { describe, expect, it } from 'vitest'
import type { ExportJob } from '@/api/export'
import { isOpen, progress, queryText, typed } from './export-text'

const job = (parts: Partial<ExportJob>): ExportJob => ({
  id: 'a',
  what: 'vms',
  format: 'csv',
  query: {},
  state: 'running',
  rows_done: 0,
  rows_total: null,
  size_bytes: null,
  error: null,
  user: { id: 'u', name: 'ada' },
  created_at: '2026-01-01T00:00:00Z',
  started_at: null,
  finished_at: null,
  expires_at: null,
  ...parts,
})

describe('progress', () => {
  it('is known once the number of rows is', () => {
    expect(progress(job({ rows_done: 10 }))).toBeNull()
    expect(progress(job({ rows_done: 10, rows_total: 40 }))).toBe(0.25)
    expect(progress(job({ rows_done: 0, rows_total: 0 }))).toBeNull()
    expect(progress(job({ state: 'done' }))).toBe(1)
  })
})

describe('isOpen', () => {
  it('is what a collector still works on, or will', () => {
    const states = ['queued', 'running', 'done', 'failed', 'cancelled', 'removed'] as const
    expect(states.filter((state) => isOpen(job({ state })))).toEqual(['queued', 'running'])
  })
})

describe('typed', () => {
  it('says numbers and answers as such', () => {
    const query = { q: '7', vcpus_min: '2', memory_max_bytes: '1024', manual: 'false', archived: 'true', host: undefined }
    expect(typed(query)).toEqual({ q: '7', vcpus_min: 2, memory_max_bytes: 1024, manual: false, archived: 'true' })
  })
})

describe('queryText', () => {
  it('says what was asked for, and cuts long lists short', () => {
    expect(queryText({ state: 'running', q: '', host: null, entities: ['a', 'b', 'c', 'd'] })).toBe('state=running entities=a,b,c,…')
    expect(queryText({})).toBe('')
  })
})
