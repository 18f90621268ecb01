/** A text with one place in it marked, for showing where it is wrong. */

export interface Marked {
  before: string
  /** The character that is wrong; empty at the end of the text. */
  at: string
  after: string
}

/** The text around the character at `position`, which counts characters as people do, not UTF-16 units. */
export function marked(text: string, position: number): Marked {
  const characters = Array.from(text)
  const place = Math.max(0, Math.min(position, characters.length))
  return { before: characters.slice(0, place).join(''), at: characters[place] ?? '', after: characters.slice(place + 1).join('') }
}
