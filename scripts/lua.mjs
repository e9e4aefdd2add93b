// The Lua scripts of lib/redis/lua, each with the shared parts that it includes. A line `--- include shared/x.lua` stands for that file, the
// first time that it comes up in a script; after that it stands for nothing. What is included within a block is known in that block alone.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { project } from './paths.mjs'

const folder = join('lib', 'redis', 'lua')
const INCLUDE = /^ *--- include (\S+)$/

/** All scripts: file, name (arm-missing.lua is orderTimersArmMissing), number of keys (undefined where it varies, and each call says it), and lines, each with the file and the number it has there. */
export function readScripts() {
  const files = readdirSync(join(project, folder)).filter((file) => file.endsWith('.lua'))
  return files.sort().map((file) => {
    const lines = assemble(file)
    const keys = lines.flatMap(({ text }) => [...text.matchAll(/\bKEYS\[(\d+)\]/g)].map(([, n]) => Number(n)))
    const varies = lines.some(({ text }) => text.includes('#KEYS'))
    return { file: join(folder, file), name: nameOf(file), numberOfKeys: varies ? undefined : Math.max(0, ...keys), lines }
  })
}

/** What Redis is sent: without comments, unless a quote is in them, and without indentation and empty lines. */
export function sentText({ lines }) {
  return lines
    .map(({ text }) => text.replace(/--[^'"]*$/, '').trim())
    .filter((text) => text !== '' && !text.startsWith('--'))
    .join('\n')
}

function assemble(path, included = new Set()) {
  included.add(path)
  const file = join(folder, path)
  const texts = readFileSync(join(project, file), 'utf8').trimEnd().split('\n')
  return texts.flatMap((text, i) => {
    const [, part] = INCLUDE.exec(text) ?? []
    if (part === undefined) return [{ text, file, number: i + 1 }]
    return included.has(part) ? [] : assemble(part, included)
  })
}

function nameOf(file) {
  const words = basename(file, '.lua').split('-')
  return `orderTimers${words.map((word) => word[0].toUpperCase() + word.slice(1)).join('')}`
}
