// What keeps a connected server from serving commands: it loads its data, a script blocks it, or it refuses the db. Each is checked again
// until it is over.

import { type Redis, ReplyError } from 'ioredis'
import { Attempts } from './attempts.js'
import { isReply, replyFault } from './replies.js'

/** How often a busy Redis is asked whether it still is. */
const BUSY_EVERY_MS = 250

/** How often a db that could not be selected is tried again, and a Redis that is not ready is asked why. */
const ASK_EVERY_MS = 500

export class Obstacles {
  private readonly busy = new Attempts(BUSY_EVERY_MS)
  private readonly loading = new Attempts(ASK_EVERY_MS)
  /** Runs while Redis refuses the db, since ioredis would go on in db 0. */
  private readonly wrongDb = new Attempts(ASK_EVERY_MS)

  /** @param onOver called when an obstacle is over */
  constructor(
    private readonly client: Redis,
    private readonly onOver: () => void,
  ) {}

  get isBusy(): boolean {
    return this.busy.running
  }

  /** Whether commands would be carried out in another db. */
  get isElsewhere(): boolean {
    return this.wrongDb.running
  }

  /** Redis answers only that it is busy or loading. It still serves some commands, which prove nothing; PING is not one of them. */
  whileBusy(): void {
    const answers = () =>
      this.client.ping().then(
        () => true,
        (error) => isReply(error) && replyFault(error) !== 'REDIS_UNAVAILABLE',
      )
    this.busy.start(answers, this.onOver)
  }

  /**
   * From the connection's start until it is ready. ioredis waits silently for a Redis that loads its data; Redis answers INFO in that time.
   */
  whileNotReady(onLoading: (error: Error) => void): void {
    const isReady = async () => {
      if (this.client.status !== 'connect') return true
      const info = await this.client.info('persistence').catch(() => '')
      if (this.client.status === 'connect' && /^loading:1/m.test(info))
        onLoading(new ReplyError('LOADING Redis is loading the dataset in memory'))
      return false
    }
    this.loading.start(isReady, () => {})
  }

  /** Redis refused a command. The one of the connection's own start that selects the db matters. */
  refused(command: string | undefined, db: number): void {
    if (command === 'select') this.untilSelected(db)
  }

  private untilSelected(db: number): void {
    const select = () =>
      this.client.select(db).then(
        () => true,
        () => false,
      )
    this.wrongDb.start(select, this.onOver)
  }

  /** The connection has ended. */
  end(): void {
    this.busy.end()
    this.loading.end()
    this.wrongDb.end()
  }
}
