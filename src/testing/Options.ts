/**
 * What a fake is made from, and what it reports of the commands that it got.
 */
import type { CrtListContent } from "./CrtLists.ts"
import type { AtStart, Backends, MapFiles } from "./Declared.ts"
import type { Line, Traits } from "./Line.ts"

/** Where a fake listens. */
export type FakeAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where a fake is to listen. */
export type ListenOn = "unix" | "tcp" | { readonly path: string } | { readonly host?: string; readonly port: number }

/** What a fake is and starts from. */
export interface FakeHaproxyOptions {
  /** Which HAProxy it imitates. Default `3.4`. */
  readonly line?: Line
  /**
   * Where it listens: `unix` makes a path of its own in the temporary folder (the default), `tcp` takes a free port of
   * 127.0.0.1; or a path or port that you name; or several of them.
   */
  readonly listen?: ListenOn | ReadonlyArray<ListenOn>
  /** Map files by HAProxy's path, with their content. Default: empty `/etc/haproxy/domains.map` and `wildcards.map`. */
  readonly maps?: AtStart<MapFiles>
  /** Declared backends. Default: 10 pools of 3 slots. */
  readonly backends?: AtStart<Backends>
  /** Certificates read at start: PEM text, key included, by HAProxy's path. Default: none. */
  readonly certificates?: AtStart<MapFiles>
  /** Crt-lists by path, as their file's text, or directories as the paths in them. Default: none. */
  readonly crtLists?: AtStart<Readonly<Record<string, CrtListContent>>>
  /**
   * Lists whose bind has no `strict-sni`, with where it stands in the configuration (`/etc/haproxy/haproxy.cfg:12`):
   * their first certificate is the default one, which cannot be deleted. Default: none.
   */
  readonly looseBinds?: Readonly<Record<string, string>>
  /** Names of frontends in `show stat`. Default `web`. */
  readonly frontends?: ReadonlyArray<string>
  /** As `show map` names it. Default `/etc/haproxy/haproxy.cfg`. */
  readonly configPath?: string
  /** How many connections are served at a time; more wait, as HAProxy lets them. Default 10. */
  readonly maxConnections?: number
  /**
   * How long a new server address takes at least to take effect, in milliseconds. Default 0: as soon as the commands
   * that came with it have run. On a busy machine HAProxy takes longer than the exchange that follows, too.
   */
  readonly addressDelay?: number
  /** `stats timeout`: milliseconds of silence after which a connection is closed. Default 10,000. */
  readonly idleTimeout?: number
  /**
   * Differences from the line as recorded, such as another `version`, or `stallsFrom: Infinity` for a 3.4 that takes
   * large payloads however they are cut.
   */
  readonly traits?: Partial<Traits>
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number
}

/** A command that arrived. */
export interface ReceivedCommand {
  /** Connections count from 1. */
  readonly connection: number
  /** The pid of the worker that got it. */
  readonly pid: number
  /** As received, without its payload. */
  readonly text: string
  readonly payload: string | undefined
  /** What was sent back, framing included; `undefined` when nothing was. */
  readonly answer: string | undefined
  /** It took effect (if it could): false for a command that a fault kept from running. */
  readonly ran: boolean
}
