/** Who plays in the tour's steps, and what they all look at. */
import type { Agent } from "./Agent.ts"
import { prove } from "./DemoFailure.ts"
import type { Origin } from "./Origins.ts"
import type { Page } from "./Web.ts"

/** The site of the demo, the one that shares its pool, and a name that only the latter's wildcard covers. */
export const shop = "shop.example.com"
export const sharing = "example.org"
export const covered = "blog.example.org"

/** What is known once a step has made it. */
export interface Cast {
  readonly agent: () => Agent
  readonly origins: () => readonly [Origin, Origin]
}

/** Ends the step unless the page is the site's, from this origin. */
export const from = (page: Page, origin: Origin, site: string) => {
  prove(page.status === 200 && page.body === origin.text, `${site} answers 200 from origin ${origin.name}`, page)
}
