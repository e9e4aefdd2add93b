// Finds a compiler for the shop's modules: the one that Node was started with, else one in the shop's node_modules (tsx or ts-node for TypeScript,
// Babel's require hook for the rest), else Node itself.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export function isTypeScript(file: string): boolean {
  return /\.[cm]?tsx?$/.test(file)
}

/** Whether Node was started with a loader or a require hook. */
export function hasLoader(): boolean {
  const options = `${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS ?? ''}`
  return /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)\b/.test(options)
}

/** @returns whether TypeScript can be loaded now */
export async function registerLoader(file: string): Promise<boolean> {
  const require = createRequire(file)
  const tsx = resolved(require, 'tsx')
  if (tsx !== undefined) {
    await import(pathToFileURL(tsx).href)
    return true
  }
  const tsNode = resolved(require, 'ts-node/register/transpile-only')
  if (tsNode !== undefined) {
    require(tsNode)
    return true
  }
  return Boolean((process.features as { typescript?: unknown }).typescript)
}

/** For a module that Node alone cannot load. */
export function registerBabel(file: string): void {
  const require = createRequire(file)
  const babel = resolved(require, '@babel/register')
  if (babel !== undefined && !hasLoader()) require(babel)
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
}
