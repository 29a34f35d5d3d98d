/**
 * `haproxy-mcp/testing`: what you need to test your own layers against HAProxy's Runtime API without HAProxy.
 */
export type { CrtListContent } from "./testing/CrtLists.ts"
export { type Backends, declarePools, type MapFiles, mapFilesOnDisk, parseBackends } from "./testing/Declared.ts"
export { type FakeEpoch, FakeHaproxy, type FakeHaproxyShape } from "./testing/FakeHaproxy.ts"
export { type CommandPattern, Fault, type FaultOptions, type InjectedFault } from "./testing/Fault.ts"
export type { Line, Traits } from "./testing/Line.ts"
export type { FakeAddress, FakeHaproxyOptions, ListenOn, ReceivedCommand } from "./testing/Options.ts"
export type { ServerConfig, ServerState } from "./testing/Server.ts"
