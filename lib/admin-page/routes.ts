// Which request is answered by what. Everything is asked of `authorize` first, the page's own script and style too. All paths are relative, so that
// the page works wherever it is mounted, and behind a proxy that knows it under another path.

import type { Request, Response } from 'express'
import { parseWish } from './act-wish.js'
import type { Answers } from './answers.js'
import { assetNamed, shellIn } from './assets.js'
import type { Authorization } from './authorization.js'
import { jsonBody } from './body.js'
import type { AdminGrant } from './options.js'
import { Refusal } from './refusal.js'
import { requireSameOrigin } from './same-origin.js'
import type { Streams } from './streams.js'

export interface RoutesDependencies {
  answers: Answers
  authorization: Authorization
  streams: Streams
  origins: ReadonlySet<string>
}

const JSON_TYPE = 'application/json; charset=utf-8'

export class Routes {
  constructor(private readonly dependencies: RoutesDependencies) {}

  /** @throws Refusal, OrderTimersError, and what the servers throw */
  async answer(req: Request, res: Response): Promise<void> {
    const [path = '/', search = ''] = split(req.url)
    if (req.method === 'POST') return this.act(path, req, res)
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD, POST')
      throw new Refusal(405, 'METHOD', 'the page is asked by GET, and acts are sent by POST')
    }
    await this.look(path.replace(/^\//, ''), new URLSearchParams(search), req, res)
  }

  private async look(name: string, query: URLSearchParams, req: Request, res: Response): Promise<void> {
    const { answers, authorization, streams } = this.dependencies
    const grant = await authorization.grant(req, { action: 'read', kind: query.get('kind') ?? undefined, count: 0 })
    if (name === '') return this.shell(query, req, res)
    const asset = assetNamed(name)
    if (asset) return send(req, res, asset.type, asset.text)
    if (name === 'stream') return req.method === 'HEAD' ? send(req, res, 'text/event-stream', '') : streams.add(req, res)
    const screen = /^data\/([a-z]+)$/.exec(name)?.[1]
    if (screen === undefined) throw new Refusal(404, 'NOTHING_HERE', 'there is nothing here')
    send(req, res, JSON_TYPE, await envelope(grant, answers, screen, query))
  }

  private async act(path: string, req: Request, res: Response): Promise<void> {
    const { answers, authorization, streams, origins } = this.dependencies
    requireSameOrigin(req, origins)
    if (path !== '/act') throw new Refusal(404, 'NOTHING_HERE', 'there is nothing here')
    const wish = parseWish(await jsonBody(req))
    const { user } = await authorization.grant(req, { action: wish.action, kind: wish.kind, count: wish.orders.length })
    const acted = await answers.act(wish, user)
    streams.tellAll()
    send(req, res, JSON_TYPE, JSON.stringify(acted))
  }

  private shell(query: URLSearchParams, req: Request, res: Response): void {
    const [path = ''] = split(req.originalUrl)
    if (path.endsWith('/')) {
      send(req, res, 'text/html; charset=utf-8', shellIn(query.get('lang'), req.headers['accept-language']))
      return
    }
    // Relative names need the slash. Behind a proxy only the last part of the path is sure to be what the browser has.
    const search = query.size > 0 ? `?${query}` : ''
    res.statusCode = 302
    res.setHeader('Location', `./${path.slice(path.lastIndexOf('/') + 1)}/${search}`)
    res.end()
  }
}

async function envelope(me: AdminGrant, answers: Answers, screen: string, query: URLSearchParams): Promise<string> {
  const [recording, data] = await Promise.all([answers.recording(), answers.data(screen, query)])
  return JSON.stringify({ me, recording, data })
}

function split(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

function send(req: Request, res: Response, type: string, text: string): void {
  res.statusCode = 200
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.end(req.method === 'HEAD' ? undefined : text)
}
