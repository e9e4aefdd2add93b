// Errors about Redis: the code, the server, the reason, and what to do about it.

import { errorText } from '../error-text.js'
import { type ErrorName, OrderTimersError } from '../errors.js'
import { OtherLayout } from './layout.js'
import { NoAddress } from './no-address.js'
import { isReply, type ReplyFault, replyFault, replyRemedy, SLOT_UNSERVED } from './replies.js'

const WHAT: Record<ReplyFault, string> = {
  REDIS_UNAVAILABLE: 'does not answer',
  REDIS_UNUSABLE: 'cannot serve timers',
  REDIS_REFUSES: 'refuses the command',
}

const CODES: ErrorName[] = ['REDIS_UNAVAILABLE', 'REDIS_UNUSABLE', 'REDIS_REFUSES']

/** The reason if no other is known: a killed server closes its connections without an error. */
export const CLOSED = new Error('the connection was closed')

const NOT_CONNECTED = new Error('not connected')

const SENTINELS = 'check that the Sentinels run, can be reached, and know the primary by "name"'

/** What to do about a certificate, by Node's codes (https://nodejs.org/api/tls.html#x509-certificate-error-codes): the server runs, and was reached. */
const OF_CERTIFICATES: [codes: RegExp, remedy: string][] = [
  [/ALTNAME|HOSTNAME_MISMATCH/, 'its certificate is for another host: give the host that it names, or that name as "servername" in "tls"'],
  [/CERT_(?:HAS_EXPIRED|NOT_YET_VALID)/, "its certificate is not valid now: renew it, or set this host's clock right"],
  [
    /SELF_SIGNED|^UNABLE_TO_(?:GET_ISSUER|VERIFY)|^CERT_/,
    'its certificate is not trusted: give the authority that signed it as "ca" in "tls", or its file in NODE_EXTRA_CA_CERTS',
  ],
]

/** ioredis's words, once it has followed a cluster's answers about a slot for long enough. */
const UNSERVED = /^Too many Cluster redirections\..*\b(CLUSTERDOWN|TRYAGAIN|MOVED|ASK)\b/

/** ioredis's words for a command whose connection was lost. They name its options, which the shop cannot set here. */
const LOST = /^(?:Reached the max retries per request limit|Stream isn't writeable)/

export function wasLost(error: unknown): boolean {
  return error instanceof Error && LOST.test(error.message)
}

/** ioredis says so of a round in which no Sentinel answered, or none knew the name; the next round follows by itself. */
function isOfSentinels(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('All sentinels are unreachable')
}

/** The code and the texts for an error of Redis or of the connection to it. */
export function explain(error: unknown, where: string): { code: ReplyFault; what: string; why: string; remedy: string } {
  const cause = reasonOf(error)
  if (cause instanceof OtherLayout || cause instanceof NoAddress) {
    const { message: why, remedy } = cause
    return { code: 'REDIS_UNUSABLE', what: `Redis at ${where} ${WHAT.REDIS_UNUSABLE}`, why, remedy }
  }
  if (isOfSentinels(cause)) {
    const why = 'no Sentinel names a primary'
    return { code: 'REDIS_UNAVAILABLE', what: `Redis at ${where} ${WHAT.REDIS_UNAVAILABLE}`, why, remedy: SENTINELS }
  }
  const code = isReply(cause) ? replyFault(cause) : 'REDIS_UNAVAILABLE'
  const { code: errno, message } = (cause ?? NOT_CONNECTED) as { code?: string; message?: string }
  const why = (isReply(cause) ? errorText(cause) : errno || message) || NOT_CONNECTED.message
  const known = isReply(cause) ? replyRemedy(cause) : UNSERVED.test(why) ? SLOT_UNSERVED : certificateRemedy(errno)
  const remedy = known || (code === 'REDIS_REFUSES' ? undefined : 'check that it runs and can be reached')
  return { code, what: `Redis at ${where} ${WHAT[code]}`, why, remedy: remedy ?? 'see what Redis answered' }
}

function certificateRemedy(code: string | undefined): string | undefined {
  return OF_CERTIFICATES.find(([codes]) => code !== undefined && codes.test(code))?.[1]
}

/** The cause of our own error that only says that Redis failed; any other error itself. */
export function reasonOf(error: unknown): unknown {
  return error instanceof OrderTimersError && isRedisTrouble(error) ? error.cause : error
}

/** The coded error, always with a cause; an error that already has a code is returned unchanged. */
export function redisError(cause: unknown = NOT_CONNECTED, where: string): OrderTimersError {
  if (cause instanceof OrderTimersError) return cause
  const { code, what, why, remedy } = explain(cause, where)
  return new OrderTimersError(code, `orderTimers: ${what} (${why}); ${remedy}`, { cause })
}

/** Whether Redis is the cause: it did not answer, or answered with an error. */
export function isRedisTrouble(error: unknown): boolean {
  return isReply(error) || (error instanceof OrderTimersError && CODES.some((name) => error.code === `ERR_ORDER_TIMERS_${name}`))
}
