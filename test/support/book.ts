// The book, README.md and the pages in docs, as its fenced blocks.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Block {
  /** The page's path from the root. */
  page: string
  /** The line of its opening fence. */
  line: number
  language: string
  /** What its first line calls it: `app.ts, further`. */
  title: string | undefined
  /** All between the fences, the first line included. */
  text: string
}

/** Every page, by its path from the root. */
export const pages: ReadonlyMap<string, string> = new Map(
  [
    'README.md',
    'README.zh-TW.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path)),
  ]
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) => {
      try {
        return [[path, readFileSync(join(root, path), 'utf8')] as const]
      } catch {
        return []
      }
    }),
)

/** The blocks of one page, in order. */
export function blocksOf(page: string): Block[] {
  const text = pages.get(page)
  if (text === undefined) throw new Error(`the book has no page ${page}`)
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: content = '', index }) => ({
    page,
    line: text.slice(0, index).split('\n').length,
    language,
    title: /^(?:\/\/|#|--) (\S+\.\w+(?:, .+)?)\n/.exec(content)?.[1],
    text: content,
  }))
}

export const blocks: readonly Block[] = [...pages.keys()].flatMap(blocksOf)

/** The one block that is called so on this page. */
export function block(page: string, title: string): string {
  const found = blocksOf(page).filter((block) => block.title === title)
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks that are called ${title}`)
  return (found[0] as Block).text
}
