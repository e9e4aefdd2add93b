// The JSON body of an act, whether the shop has a body parser before the page or not.

import type { Request } from 'express'
import { Refusal } from '../web/refusal.js'

/** 200 ids with their deadlines are less than 40 kB. */
const MOST_BYTES = 100_000

/** @throws Refusal 400, 413, 415 */
export async function jsonBody(req: Request): Promise<Record<string, unknown>> {
  // A form of another site can send text/plain, which a parser may take for JSON.
  if (!/^application\/json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'NOT_JSON', 'an act is sent as application/json')
  }
  const { body } = req as { body?: unknown }
  if (Buffer.isBuffer(body) || typeof body === 'string') return parsed(String(body))
  // Not `complete`: a short body has arrived as a whole while an async log-in was asked, and nobody has read it yet.
  if (req.readableEnded || req.readableDidRead) return object(body)
  if (body !== undefined && !isEmpty(body)) return object(body)
  if (req.destroyed) throw aborted()
  return parsed(await read(req))
}

/** Express 4's parsers leave `{}` where they have read nothing. */
function isEmpty(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length === 0
}

function read(req: Request): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= MOST_BYTES) return void chunks.push(chunk)
      // The rest is taken and dropped: a browser reads no answer while it still sends.
      reject(new Refusal(413, 'TOO_LARGE', `an act takes at most ${MOST_BYTES} bytes`))
    })
    req.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    req.on('error', reject)
    req.on('aborted', () => reject(aborted()))
  })
}

function aborted(): Refusal {
  return new Refusal(400, 'ABORTED', 'the request was aborted')
}

function parsed(text: string): Record<string, unknown> {
  try {
    return object(JSON.parse(text))
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(400, 'NOT_JSON', 'the body is not JSON')
  }
}

function object(value: unknown): Record<string, unknown> {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Refusal(400, 'NOT_JSON', 'the body must be a JSON object')
}
