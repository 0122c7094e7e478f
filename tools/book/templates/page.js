(() => {
  "use strict";
  const scenes = [...document.querySelectorAll(".scene")];
  const one = (selector) => document.querySelector(selector);

  // Pictures stand in the page once; the cover and the contents show them again.
  const cover = one(".cover-picture");
  const first = one(".scene img");
  if (cover && first) cover.style.backgroundImage = `url("${first.src}")`;
  for (const link of document.querySelectorAll(".contents a")) {
    const picture = one(`#scene-${link.dataset.scene} img`);
    if (!picture) continue;
    link.classList.add("pictured");
    link.style.backgroundImage = `url("${picture.src}")`;
  }

  const read = scenes.filter((scene) => scene.querySelector("audio"));
  const player = one(".player");
  if (!player) return;
  const [toggle, where, bar] = [one(".toggle"), one(".where"), one(".player progress")];
  const sound = (at) => read[at].querySelector("audio");
  let at = 0;
  let all = false;

  const mark = (scene, time) => {
    for (const sentence of scene.querySelectorAll(".said")) {
      const { start, end } = sentence.dataset;
      sentence.classList.toggle("now", time >= start - 0.05 && time < end);
    }
  };
  const show = () => {
    const playing = !sound(at).paused;
    toggle.setAttribute("aria-label", playing ? "Pause" : "Go on");
    toggle.classList.toggle("resting", !playing);
    const part = sound(at).duration ? sound(at).currentTime / sound(at).duration : 0;
    bar.value = (at + part) / read.length;
  };
  const play = (next) => {
    read.forEach((scene, place) => place === next || sound(place).pause());
    if (next !== at) sound(next).currentTime = 0;
    at = next;
    all = true;
    sound(at).play();
  };

  read.forEach((scene, place) => {
    const audio = sound(place);
    audio.addEventListener("play", () => {
      read.forEach((other, number) => {
        if (number === place) return;
        sound(number).pause();
        mark(other, -1);
      });
      at = place;
      player.hidden = false;
      const text = `Page ${scenes.indexOf(scene) + 1} of ${scenes.length}`;
      if (where.textContent !== text) where.textContent = text;
      scenes.forEach((each) => each.classList.toggle("now", each === scene));
      if (all) scene.scrollIntoView({ block: "center" });
      show();
    });
    audio.addEventListener("timeupdate", () => {
      if (!audio.paused) mark(scene, audio.currentTime);
      if (at === place) show();
    });
    audio.addEventListener("pause", show);
    audio.addEventListener("ended", () => {
      mark(scene, -1);
      if (all && place + 1 < read.length) return play(place + 1);
      all = false;
      scene.classList.remove("now");
      player.hidden = true;
    });
  });

  const start = one(".play-all");
  start.hidden = false;
  start.addEventListener("click", () => { sound(0).currentTime = 0; play(0); });
  toggle.addEventListener("click", () => { if (sound(at).paused) play(at); else sound(at).pause(); });
  one(".back").addEventListener("click", () => { sound(at).currentTime = 0; play(Math.max(at - 1, 0)); });
  one(".on").addEventListener("click", () => play(Math.min(at + 1, read.length - 1)));
})();
