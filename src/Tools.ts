/**
 * The tools of this process: over one control plane where the database lies on this machine, over those that come and go
 * where its durable home is another host. What only the second needs is loaded for it alone.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "./Config.ts"
import * as ControlPlane from "./ControlPlane.ts"
import type { ConfigInvalid, Conflict, FileFailure } from "./domain/Errors.ts"
import { ToolRunner } from "./mcp/ToolRunner.ts"

/** `claim`: a start fences a control plane that ran before; else the first write does (a command that may only read). */
export const layer = (
  options: { readonly claim: boolean }
): Layer.Layer<ToolRunner, ConfigInvalid | Conflict | FileFailure, Settings> =>
  Layer.unwrap(Effect.gen(function*() {
    const { ssh } = yield* Settings
    if (ssh === null) return ToolRunner.local.pipe(Layer.provide(ControlPlane.layer))
    const { layer } = yield* Effect.promise(() => import("./SupervisedTools.ts"))
    return layer(options)
  }))
