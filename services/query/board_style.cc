#include "services/query/board_pages.h"

namespace hub::query {

std::string BoardStyle() {
  return R"(:root { color-scheme: light dark; --line: #8884; --soft: #8881; --alarm: #c62828; --warn: #b26a00; }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; }
header { display: flex; gap: 2rem; align-items: center; padding: .6rem 1.2rem; background: #15304b; color: #fff; }
header a { color: #cfe3ff; margin-right: 1rem; }
header span { margin-left: auto; text-align: right; font-size: 12px; }
main { padding: 0 1.2rem 2rem; max-width: 110rem; }
h1 { font-size: 1.4rem; margin: .8rem 0; }
h2 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; background: var(--soft); }
td { overflow-wrap: break-word; }
td.names { min-width: 22rem; }
time { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .4rem 0; }
dt { opacity: .7; }
dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; min-width: 7rem; }
.tile span { display: block; font-size: 12px; opacity: .75; }
.tile b { font-size: 1.35rem; }
.alarm { color: var(--alarm); }
.warn { color: var(--warn); }
.dim { opacity: .55; }
.note { border-left: 4px solid var(--warn); padding: .4rem .8rem; background: var(--soft); }
b.level { white-space: nowrap; padding: 0 .4rem; border-radius: 4px; background: var(--soft); }
b.VERY_HIGH { background: #b71c1c; color: #fff; }
b.HIGH { background: #e65100; color: #fff; }
b.MEDIUM { background: #f9d65c; color: #222; }
.tile.VERY_HIGH { border-color: #b71c1c; }
.tile.HIGH { border-color: #e65100; }
.tile.MEDIUM { border-color: #c9a300; }
form { display: grid; gap: .7rem; max-width: 32rem; }
label { display: grid; gap: .2rem; }
input, select, button { font: inherit; padding: .35rem .5rem; }
button { justify-self: start; padding: .35rem 1.2rem; }
)";
}

}  // namespace hub::query
