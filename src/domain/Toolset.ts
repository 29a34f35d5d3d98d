/** The groups of tools: `default` for domains, servers and certificates; `runtime` for all else that HAProxy can be told. */
export const toolsets = ["default", "runtime"] as const

export type Toolset = typeof toolsets[number]
