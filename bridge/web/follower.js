const NEAR_THE_END = 48; // CSS pixels

/** Keeps `scroller` at its end while `contents` grow, but only while its reader is there. */
export class Follower {
  following = true;
  #scroller;
  #top = 0;

  constructor(scroller, ...contents) {
    this.#scroller = scroller;
    const observer = new ResizeObserver(() => this.#follow());
    for (const content of contents) observer.observe(content);
  }

  goToEnd() {
    this.following = true;
    this.#follow();
  }

  /** Looks where the reader is, after a scroll; to grow at the end moves nobody away from it. */
  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
    this.following = near || (this.following && scrollTop >= this.#top);
    this.#top = scrollTop;
  }

  #follow() {
    if (this.following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}
