// What Sequelize asks of a CLS namespace, such as cls-hooked's, on Node's own AsyncLocalStorage. `Sequelize.useCLS` is for the whole
// process, so `end` takes it back.

import { AsyncLocalStorage } from 'node:async_hooks'
import { Sequelize } from 'sequelize'

export class ClsNamespace {
  private readonly storage = new AsyncLocalStorage<Map<string, unknown>>()

  static use(): ClsNamespace {
    const namespace = new ClsNamespace()
    Sequelize.useCLS(namespace)
    return namespace
  }

  get(name: string): unknown {
    return this.storage.getStore()?.get(name)
  }

  set(name: string, value: unknown): void {
    this.storage.getStore()?.set(name, value)
  }

  run(work: (context: object) => unknown): unknown {
    return this.storage.run(new Map(this.storage.getStore()), () => work({}))
  }

  bind<F extends (...args: never[]) => unknown>(work: F): F {
    return AsyncLocalStorage.bind(work)
  }

  end(): void {
    ;(Sequelize as unknown as { _cls: unknown })._cls = undefined
  }
}
