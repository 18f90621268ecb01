/**
 * Who uses the dashboard, and what they may do.
 *
 * The session lives in cookies that scripts can't read. When it is over it is renewed, once for all requests and tabs;
 * when that is refused, a login is asked for over the page, and whatever waits goes on after it.
 */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { getMe, getSetup, logIn, logOut, renewSession, type Credentials, type Me } from '@/api/access'
import { csrfToken } from '@/api/sender'
import { ApiError, keepSession } from '@/api/transport'
import * as permission from '@/lib/permission'
import { SessionKeeper, type Memory } from '@/lib/session-keeper'
import { usePreferences } from './preferences'

const UNTIL_KEY = 'vmscope.session_until'
const LOCK = 'vmscope.session'
/** How often a server that can't be reached is asked again while the page starts. */
const RETRY_MS = 2000

function sharedMemory(): Memory {
  // Storage may be forbidden (private windows): then each tab is on its own.
  let own: string | null = null
  return {
    get: () => {
      try {
        return localStorage.getItem(UNTIL_KEY)
      } catch {
        return own
      }
    },
    set: (value) => {
      own = value
      try {
        if (value === null) localStorage.removeItem(UNTIL_KEY)
        else localStorage.setItem(UNTIL_KEY, value)
      } catch {
        // See above.
      }
    },
  }
}

/** Browsers have locks on secure pages only: elsewhere each tab is on its own. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  const locks = (navigator as { locks?: LockManager }).locks
  return locks ? (locks.request(LOCK, work) as Promise<T>) : work()
}

/** The length of the renewed session, or null when the server refuses to renew it. */
async function renew(): Promise<number | null> {
  try {
    return (await renewSession()).expires_in_s
  } catch (cause) {
    if (cause instanceof ApiError && (cause.status === 401 || cause.status === 403)) return null
    throw cause
  }
}

export const useSession = defineStore('session', () => {
  const user = shallowRef<Me | null>(null)
  const setup_needed = ref(false)
  /** Whether a login is asked for over the page. */
  const asking = ref(false)
  /** Why the page can't start: the server can't be reached. */
  const problem = shallowRef<ApiError | null>(null)
  let starting: Promise<void> | undefined
  let answerAsked: (logged_in: boolean) => void = () => undefined

  /** Whoever left, or never was here, is not asked: the router sends them to the login. */
  function ask(): Promise<boolean> {
    if (!user.value) return Promise.resolve(false)
    asking.value = true
    return new Promise((resolve) => {
      answerAsked = (logged_in) => {
        asking.value = false
        resolve(logged_in)
      }
    })
  }

  const keeper = new SessionKeeper({ memory: sharedMemory(), now: Date.now, alone, renew, ask })
  keepSession(keeper, () => void reload())

  async function enter(me: Me): Promise<void> {
    user.value = me
    await usePreferences().suggestLanguage(me.language)
  }

  async function look(): Promise<void> {
    // Without this cookie there is no session: asking would only be refused.
    if (csrfToken(document.cookie)) {
      try {
        await enter(await getMe())
        return
      } catch (cause) {
        if (!(cause instanceof ApiError) || cause.status !== 401) throw cause
      }
    }
    setup_needed.value = (await getSetup()).needed
  }

  async function lookUntilAnswered(): Promise<void> {
    for (;;) {
      try {
        await look()
        problem.value = null
        return
      } catch (cause) {
        if (!(cause instanceof ApiError)) throw cause
        problem.value = cause
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  /** Finds out, once, who is here. */
  function start(): Promise<void> {
    starting ??= lookUntilAnswered()
    return starting
  }

  /** Learns anew what the person may do: it may have changed. */
  async function reload(): Promise<void> {
    if (!user.value) return
    try {
      user.value = await getMe()
    } catch (cause) {
      // The menu stays as it was; whatever led here tells of the failure.
      if (!(cause instanceof ApiError)) throw cause
    }
  }

  async function adopt(me: Me): Promise<void> {
    if (user.value && user.value.id !== me.id) {
      // Nothing that the other person loaded or typed may stay.
      location.assign('/')
      return
    }
    await enter(me)
    answerAsked(true)
  }

  /** Logs in; fails with the server's refusal. */
  async function login(credentials: Credentials): Promise<void> {
    const answer = await logIn(credentials)
    keeper.renewed(answer.expires_in_s)
    await adopt(answer.user)
  }

  /** Somebody logged in by another tab: nobody needs to be asked here. */
  async function follow(): Promise<void> {
    try {
      await adopt(await getMe())
    } catch (cause) {
      // Then the login here is still asked for.
      if (!(cause instanceof ApiError)) throw cause
    }
  }
  window.addEventListener('storage', (event) => {
    if (event.key === UNTIL_KEY && event.newValue !== null && asking.value) void follow()
  })

  /** The first administrator was made. */
  function setUp(): void {
    setup_needed.value = false
  }

  /** Gives up the session that is over, and with it what waits for it. */
  function giveUp(): void {
    keeper.forget()
    user.value = null
    answerAsked(false)
  }

  /** Ends the session here and at the server. */
  async function logout(): Promise<void> {
    await logOut()
    keeper.forget()
    // A fresh page: nothing of this person stays in its memory.
    location.assign('/login')
  }

  /** Asks the server whether the session still holds, which renews it if need be: for what is no request, like the live connection. */
  async function probe(): Promise<void> {
    await reload()
  }

  /** Before a password that somebody else has set is changed, the server does nothing else. */
  const held = computed(() => (user.value && !user.value.must_change_password ? user.value.permissions : []))
  const may = (wanted: string) => permission.maySomewhere(held.value, wanted)
  const mayEverywhere = (wanted: string) => permission.mayEverywhere(held.value, wanted)
  const mayInGroup = (wanted: string, group: string) => permission.mayInGroup(held.value, wanted, group)

  return {
    user,
    setup_needed,
    asking,
    problem,
    held,
    start,
    setUp,
    reload,
    login,
    giveUp,
    logout,
    probe,
    may,
    mayEverywhere,
    mayInGroup,
  }
})
