// What the doctor says where INFO cannot be read: this user lacks the right, or the command is renamed, and then no right brings it back.

import { isReply, replyRemedy, UNRENAMED } from '../../redis/replies.js'
import { byHand, type Remedy, redisCli } from './check.js'
import type { SubjectRedis } from './subject.js'

export interface NoInfo {
  /** Why, for the finding. */
  found: string
  remedy: Remedy
  isRenamed: boolean
}

export function withoutInfo({ infoError, source }: Pick<SubjectRedis, 'infoError' | 'source'>): NoInfo {
  const isRenamed = isReply(infoError) && replyRemedy(infoError) === UNRENAMED
  if (isRenamed) return { found: 'INFO does not exist here (renamed?)', remedy: byHand(UNRENAMED), isRenamed }
  return { found: 'this user may not call INFO', remedy: redisCli(`ACL SETUSER ${source.user ?? 'default'} +info`), isRenamed }
}
