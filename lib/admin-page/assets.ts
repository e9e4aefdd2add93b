// The page's own files, as they are in lib/admin-page/assets. They are embedded, so that a bundle of the shop has them too.

import { ASSETS } from './assets.generated.js'

export interface Asset {
  type: string
  text: string
}

const TYPES: Record<string, string> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }

/** @returns undefined if there is no such file; index.html is not among them */
export function assetNamed(name: string): Asset | undefined {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
  const text = type && Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined
  return text === undefined ? undefined : { type: `${type}; charset=utf-8`, text }
}

/**
 * The page without content; its script adds the content.
 * @param wished the language in the URL
 * @param accepted the header Accept-Language
 */
export function shellIn(wished: string | null, accepted: string | undefined): string {
  const lang = wished === 'zh-TW' || wished === 'en' ? wished : /^\s*zh\b/i.test(accepted ?? '') ? 'zh-TW' : 'en'
  return (ASSETS['index.html'] as string).replace('<html lang="en">', `<html lang="${lang}">`)
}
