// The models of rules with `auto` that are not hooked yet. A model must be hooked before the first save of a process that never calls
// `schedule`. So hooking is tried when the timers are made, a turn later, before each request, and whenever a rule is bound, until it succeeds.
// A failure is not thrown: a wrong rule throws at its first use.

import type { RequestHandler } from 'express'
import type { Log } from '../logger.js'
import { isModel } from '../rows/model-source.js'
import type { DeclaredRule } from '../rules/rule.js'

export class UnhookedModels {
  /** Rules that have not been bound, by their names. */
  private readonly kinds: Set<string>
  private readonly reported = new Set<string>()

  /** @param bind binds a rule and hooks its model */
  constructor(
    private readonly rules: ReadonlyMap<string, DeclaredRule>,
    private readonly bind: (kind: string) => void,
    private readonly log: Log,
  ) {
    this.kinds = new Set([...rules.values()].filter(({ auto }) => auto).map(({ kind }) => kind))
  }

  /** When the timers are made. For a model given as a function it waits a turn, since the modules may import each other. */
  start(): void {
    this.hook((kind) => isModel(this.rules.get(kind)?.auto?.source))
    if (this.kinds.size > 0) setImmediate(() => this.hook())
  }

  /** Hooks the models that are initialised. */
  hook(which: (kind: string) => boolean = () => true): void {
    const kinds = [...this.kinds].filter(which)
    for (const kind of kinds) this.kinds.delete(kind) // binding one rule calls this method again
    for (const kind of kinds) {
      try {
        this.bind(kind)
      } catch {
        this.kinds.add(kind)
      }
    }
  }

  /** The rule's model is hooked. */
  remove(kind: string): void {
    this.kinds.delete(kind)
  }

  clear(): void {
    this.kinds.clear()
  }

  /** The handler itself if all models are hooked, else one that hooks them before it handles a request. */
  before(handler: RequestHandler): RequestHandler {
    if (this.kinds.size === 0) return handler
    return (req, res, next) => {
      if (this.kinds.size > 0) this.hookOrReport()
      handler(req, res, next)
    }
  }

  /** A model that cannot be hooked is logged once. */
  private hookOrReport(): void {
    this.hook()
    for (const kind of this.kinds) {
      if (this.reported.has(kind)) continue
      this.reported.add(kind)
      const message = `${kind}: its model could not be hooked ("auto"), and its orders get no deadlines; timers.check() says why`
      this.log('error', message, { code: 'NOT_HOOKED', kind })
    }
  }
}
