// Shows openapi.json: each route with its access, parameters, body and answers. Text goes in as text, never as markup.
'use strict'

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

/** An element with attributes and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

/** What a reference points at. */
function resolve(document, schema) {
  if (!schema?.$ref) return schema ?? {}
  return schema.$ref.slice(2).split('/').reduce((at, step) => at?.[step], document) ?? {}
}

/** A schema as a short text: `Page<Vm>`, `integer, 1 to 500`. */
function brief(schema) {
  if (!schema) return ''
  if (schema.$ref) return schema.$ref.split('/').pop().replaceAll('_', ' ')
  const alternatives = schema.oneOf ?? schema.anyOf ?? schema.allOf
  if (alternatives) return alternatives.map(brief).filter(Boolean).join(' or ')
  if (schema.type === 'array') return `list of ${brief(schema.items) || 'anything'}`
  const kind = [schema.type].flat().filter(Boolean).join(' or ')
  const bounds = [
    schema.format,
    schema.enum && `one of ${schema.enum.join(', ')}`,
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.default !== undefined && schema.default !== null && `default ${JSON.stringify(schema.default)}`,
  ]
  return [kind, ...bounds.filter(Boolean)].join(', ')
}

/** A schema with everything it refers to, each type once on its way down. */
function whole(document, schema, above = []) {
  if (schema?.$ref) {
    if (above.includes(schema.$ref)) return brief(schema)
    return whole(document, resolve(document, schema), [...above, schema.$ref])
  }
  const alternatives = schema?.oneOf ?? schema?.anyOf ?? schema?.allOf
  if (alternatives) {
    const known = alternatives.filter((one) => one.type !== 'null')
    return known.length === 1 ? whole(document, known[0], above) : known.map((one) => whole(document, one, above))
  }
  if (schema?.type === 'array') return [whole(document, schema.items, above)]
  if (schema?.properties) {
    const entries = Object.entries(schema.properties).map(([name, inner]) => {
      const optional = schema.required?.includes(name) ? '' : '?'
      return [name + optional, whole(document, inner, above)]
    })
    return Object.fromEntries(entries)
  }
  return brief(schema)
}

function shape(document, content) {
  const [kind, media] = Object.entries(content ?? {})[0] ?? []
  if (!kind) return []
  if (!media.schema) return [make('p', {}, kind)]
  const text = JSON.stringify(whole(document, media.schema), null, 2)
  return [make('p', {}, kind), make('pre', { tabindex: '0', 'aria-label': 'Shape' }, text)]
}

function parameters(operation, shared) {
  const all = [...(shared ?? []), ...(operation.parameters ?? [])]
  if (all.length === 0) return []
  const rows = all.flatMap((one) => [
    make('dt', {}, make('code', {}, one.name), one.required ? ' (required)' : ''),
    make('dd', {}, [`${one.in}: ${brief(one.schema)}`, one.description].filter(Boolean).join('. ')),
  ])
  return [make('h3', {}, 'Parameters'), make('dl', {}, ...rows)]
}

function body(document, operation) {
  if (!operation.requestBody) return []
  return [make('h3', {}, 'Body'), ...shape(document, operation.requestBody.content)]
}

function answers(document, operation) {
  const entries = Object.entries(operation.responses ?? {}).map(([status, one]) => [status, resolve(document, one)])
  const rows = entries.flatMap(([status, one]) => [make('dt', {}, status), make('dd', {}, one.description ?? '')])
  const good = entries.find(([status]) => status.startsWith('2'))
  return [make('h3', {}, 'Answers'), make('dl', {}, ...rows), ...(good ? shape(document, good[1].content) : [])]
}

function route(document, path, method, operation, shared) {
  const access = operation['x-permission'] ?? ''
  const says = operation.summary ?? operation.description ?? ''
  const summary = make('summary', {},
    make('span', { class: 'method' }, method.toUpperCase()), make('code', {}, path),
    make('span', { class: 'says' }, says), make('span', { class: 'access' }, access))
  const item = make('details', {}, summary)
  item.dataset.words = [path, method, access, says, operation.description].join(' ').toLowerCase()
  // Only what somebody opens is made.
  item.addEventListener('toggle', () => {
    const more = operation.summary && operation.description ? [make('p', {}, operation.description)] : []
    const parts = [...more, ...parameters(operation, shared), ...body(document, operation), ...answers(document, operation)]
    item.append(make('div', {}, ...parts))
  }, { once: true })
  return item
}

function show(document_) {
  const byTag = new Map()
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? 'other'
      const routes = byTag.get(tag) ?? byTag.set(tag, []).get(tag)
      routes.push(route(document_, path, method, item[method], item.parameters))
    }
  }
  const sections = [...byTag].map(([tag, routes]) => make('section', {}, make('h2', {}, tag), ...routes))
  document.getElementById('version').textContent = document_.info.version
  document.getElementById('about').textContent = document_.info.description ?? ''
  document.getElementById('routes').replaceChildren(...sections)
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  for (const section of document.querySelectorAll('section')) {
    const items = [...section.querySelectorAll('details')]
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word))
    section.hidden = items.every((item) => item.hidden)
  }
}

async function start() {
  const answer = await fetch('/api/v1/openapi.json')
  if (!answer.ok) throw new Error(`${answer.status}`)
  show(await answer.json())
  const search = document.getElementById('search')
  search.addEventListener('input', () => filter(search.value))
}

start().catch((error) => {
  document.getElementById('routes').replaceChildren(make('p', { role: 'alert' }, `The description can't be read: ${error.message}`))
})
