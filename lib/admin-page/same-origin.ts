// Whether a POST comes from the page itself. A browser says so in Sec-Fetch-Site, which no script can set. Only if that header is missing,
// Origin decides.

import type { Request } from 'express'
import { Refusal } from '../web/refusal.js'

/** @throws Refusal 403 */
export function requireSameOrigin(req: Request, origins: ReadonlySet<string>): void {
  const site = req.headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin') return
    throw crossSite()
  }
  const { origin } = req.headers
  if (typeof origin !== 'string' || !(origins.has(origin) || origin === ownOrigin(req))) throw crossSite()
}

/** The origin of the request's own URL, under the app's `trust proxy`. */
function ownOrigin(req: Request): string | undefined {
  const trusts = req.app?.get('trust proxy fn') as ((address: string | undefined, hop: number) => boolean) | undefined
  const forwarded = trusts?.(req.socket.remoteAddress, 0) ? req.headers['x-forwarded-host'] : undefined
  const [host] = (typeof forwarded === 'string' ? forwarded : (req.headers.host ?? '')).split(',')
  try {
    return new URL(`${req.protocol}://${host?.trim()}`).origin
  } catch {
    return undefined
  }
}

function crossSite(): Refusal {
  return new Refusal(
    403,
    'CROSS_SITE',
    'actions are accepted only from this page; behind a proxy, set "trust proxy" or name its origin in "origins"',
  )
}
