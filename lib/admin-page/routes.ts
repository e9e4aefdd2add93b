// The routes of the page. Every request first passes `authorize`, even those for the page's own script and style. All paths are relative, so that
// the page works wherever it is mounted, and behind a proxy that serves it under another path.

import type { Request, Response } from 'express'
import { answer, JSON_TYPE, splitUrl } from '../web/answer.js'
import { Refusal } from '../web/refusal.js'
import { parseWish } from './act-wish.js'
import type { Answers } from './answers.js'
import { assetNamed, shellIn } from './assets.js'
import type { Authorization } from './authorization.js'
import { jsonBody } from './body.js'
import type { AdminGrant } from './options.js'
import { requireSameOrigin } from './same-origin.js'
import type { Streams } from './streams.js'

export interface RoutesDependencies {
  answers: Answers
  authorization: Authorization
  streams: Streams
  origins: ReadonlySet<string>
}

export class Routes {
  constructor(private readonly dependencies: RoutesDependencies) {}

  /** @throws Refusal, OrderTimersError, and what the servers throw */
  async answer(req: Request, res: Response): Promise<void> {
    const [path = '/', search = ''] = splitUrl(req.url)
    if (req.method === 'POST') return this.act(path, req, res)
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD, POST')
      throw new Refusal(405, 'METHOD', 'the page is read by GET, and actions are sent by POST')
    }
    await this.look(path.replace(/^\//, ''), new URLSearchParams(search), req, res)
  }

  private async look(name: string, query: URLSearchParams, req: Request, res: Response): Promise<void> {
    const { answers, authorization, streams } = this.dependencies
    const grant = await authorization.grant(req, { action: 'read', kind: answers.ruleShown(name, query), count: 0 })
    if (name === '') return this.shell(query, req, res)
    const asset = assetNamed(name)
    if (asset) return answer(req, res, asset.type, asset.text)
    if (name === 'stream') return req.method === 'HEAD' ? answer(req, res, 'text/event-stream', '') : streams.add(req, res)
    const screen = /^data\/([a-z]+)$/.exec(name)?.[1]
    if (screen === undefined) throw new Refusal(404, 'NOTHING_HERE', 'there is nothing here')
    answer(req, res, JSON_TYPE, await envelope(grant, answers, screen, query))
  }

  private async act(path: string, req: Request, res: Response): Promise<void> {
    const { answers, authorization, streams, origins } = this.dependencies
    requireSameOrigin(req, origins)
    if (path !== '/act') throw new Refusal(404, 'NOTHING_HERE', 'there is nothing here')
    const wish = parseWish(await jsonBody(req))
    const { user } = await authorization.grant(req, { action: wish.action, kind: answers.ownerOf(wish.kind), count: wish.orders.length })
    const acted = await answers.act(wish, user)
    streams.tellAll()
    answer(req, res, JSON_TYPE, JSON.stringify(acted))
  }

  private shell(query: URLSearchParams, req: Request, res: Response): void {
    const [path = ''] = splitUrl(req.originalUrl)
    if (path.endsWith('/')) {
      answer(req, res, 'text/html; charset=utf-8', shellIn(query.get('lang'), req.headers['accept-language']))
      return
    }
    // Relative names need the slash. Behind a proxy only the last part of the path is certainly the same in the browser.
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
