// The book: README.md, the pages in docs and the other Markdown that a stranger reads, as text and as fenced blocks.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Block {
  /** The page's path from the root. */
  page: string
  /** The line of its opening fence. */
  line: number
  /** The word after its opening fence. */
  language: string
  /** What its first line calls it: `app.ts`, or `app.ts, further` where it goes on with a file. */
  title: string | undefined
  /** All between the fences, the first line included. */
  text: string
}

const outside = ['README.md', 'README.zh-TW.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
const inside = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path))

/** The text of every page, by its path from the root. */
export const pages: ReadonlyMap<string, string> = new Map(
  [...outside, ...inside.filter((path) => path.endsWith('.md')).sort()]
    .filter((path) => existsSync(join(root, path)))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
)

export function textOf(page: string): string {
  return pages.get(page) ?? fail(`the book has no page ${page}`)
}

/** The blocks of one page, in order. */
export function blocksOf(page: string): Block[] {
  const text = textOf(page)
  return [...text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: content = '', index }) => ({
    page,
    line: text.slice(0, index).split('\n').length,
    language,
    title: /^(?:\/\/|#|--) (\S*\w\.\w+(?:, .+)?)\n/.exec(content)?.[1],
    text: content,
  }))
}

export const blocks: readonly Block[] = [...pages.keys()].flatMap(blocksOf)

/** The text of the one block that is called so on this page. */
export function blockOf(page: string, title: string): string {
  const found = blocksOf(page).filter((block) => block.title === title)
  if (found.length !== 1) fail(`${page} has ${found.length} blocks that are called ${title}`)
  return (found[0] as Block).text
}

/** The file that a block belongs to: `app.ts` for `app.ts, further`. */
export function fileOf({ title = '' }: Block): string {
  return title.replace(/,.*/, '')
}

/** The commands of a block of shell, without their remarks. */
export function commandsOf({ text }: Block): string[] {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s+)#.*$/, ''))
  return lines.filter((line) => line !== '')
}

function fail(message: string): never {
  throw new Error(message)
}
