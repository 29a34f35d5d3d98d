/** The Ssh service for tests that are written with promises. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { Ssh, type SshOptions, type SshState } from "../../src/remote/Ssh.ts"
import { becomes } from "./Poll.ts"
import { type Sshd, type SshdOptions, startSshd } from "./Sshd.ts"

/** Something in a scope, and the end of it. */
const held = async <A>(work: Effect.Effect<A, never, Scope.Scope>): Promise<{ value: A; end: () => Promise<void> }> => {
  const scope = Scope.makeUnsafe()
  const value = await Effect.runPromise(Effect.provideService(work, Scope.Scope, scope))
  return { value, end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

export interface SshLink {
  readonly ssh: Ssh["Service"]
  readonly state: () => Promise<SshState>
  /** Waits for a state. */
  readonly until: (tag: SshState["_tag"], limit?: number) => Promise<SshState>
  readonly end: () => Promise<void>
}

/** Opens the service; it has made its first attempt when this returns. */
export const openSsh = async (options: SshOptions): Promise<SshLink> => {
  const { end, value } = await held(
    Layer.build(Layer.provide(Ssh.layer({ firstWait: 30_000, ...options }), Logger.layer([])))
  )
  const ssh = Context.get(value, Ssh)
  const state = () => Effect.runPromise(ssh.state)
  return {
    ssh,
    state,
    until: async (tag, limit = 30_000) => {
      await becomes(`the SSH link is ${tag}`, async () => (await state())._tag === tag, limit)
      return state()
    },
    end
  }
}

/** Starts an sshd outside of an effect. */
export const openSshd = async (options: SshdOptions = {}): Promise<{ sshd: Sshd; end: () => Promise<void> }> => {
  const { end, value } = await held(startSshd(options))
  return { sshd: value, end }
}
