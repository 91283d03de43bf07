#!/usr/bin/env bash
# Runs a command in a copy of this tree on a bare Debian 12, to prove that nothing it needs was forgotten.
#
#   tests/fresh.sh [--keep] [--worktree] CMD...       e.g. tests/fresh.sh tests/run.sh unit
#
#   --worktree  copy the working tree (tracked and untracked files, nothing ignored) instead of HEAD
#   --keep      leave the machine's folder in place and print where it is
#
# Exit status: the command's. The bare system is made once by debootstrap from the mirror this host uses
# (FRESH_MIRROR=URL overrides) and kept for a week as a tarball in the user's cache folder. Needs root.
set -euo pipefail

# chroot and mounts need root; the environment says how to reach the outside, so it is kept.
((EUID == 0)) || exec sudo --preserve-env "${BASH_SOURCE[0]}" "$@"

keep=no
source=head
while (($#)); do
  case $1 in
    --keep) keep=yes ;;
    --worktree) source=worktree ;;
    -h | --help)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
      exit 0
      ;;
    --) shift; break ;;
    -*) echo "fresh.sh: unknown flag '$1'" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
(($#)) || { echo "fresh.sh: want a command to run, e.g. tests/fresh.sh tests/run.sh" >&2; exit 2; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fraudhub
base=$cache/bookworm-minbase.tar
say() { echo "fresh.sh: $*" >&2; }

# "URI suite" for each Debian archive in the host's apt sources. Third-party archives are told by their key.
debian_sources() {
  local files
  files=$(compgen -G '/etc/apt/sources.list.d/*.sources' || true)
  [[ -z $files ]] || awk '
    function flush(  n, m, j, uri, suite) {
      if (types ~ /deb/ && components ~ /(^| )main( |$)/ && (key == "" || key ~ /debian-archive/) && enabled !~ /no/) {
        n = split(uris, uri, " "); m = split(suites, suite, " ")
        for (j = 1; n && j <= m; j++) print uri[1], suite[j]
      }
      types = uris = suites = components = key = enabled = ""
    }
    FNR == 1 || /^[ \t]*$/ { flush() }
    /^#/ { next }
    /^Types:/ { sub(/^[^:]*: */, ""); types = $0 }
    /^URIs:/ { sub(/^[^:]*: */, ""); uris = $0 }
    /^Suites:/ { sub(/^[^:]*: */, ""); suites = $0 }
    /^Components:/ { sub(/^[^:]*: */, ""); components = $0 }
    /^Signed-By:/ { sub(/^[^:]*: */, ""); key = $0 }
    /^Enabled:/ { sub(/^[^:]*: */, ""); enabled = $0 }
    END { flush() }' $files
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk '$1 == "deb" && / main/ && (!/signed-by=/ || /debian-archive/) { sub(/\[[^]]*\] */, ""); print $2, $3 }'
}
sources=$(debian_sources | grep -E ' bookworm(-updates|-security)?$' | sort -u || true)
mirror=${FRESH_MIRROR:-$(awk '$2 == "bookworm" { print $1; exit }' <<<"$sources")}
[[ -n $mirror ]] || { say "no Debian 12 archive in this host's apt sources; set FRESH_MIRROR=URL"; exit 1; }
[[ -n $sources ]] || sources="$mirror bookworm"

if ! command -v debootstrap >/dev/null; then
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends debootstrap
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/fraudhub-fresh.XXXXXX")
dir=$work/bookworm
# All mounts are made in a mount namespace of the command's own (below), so none is ever visible here and even
# kill -9 leaves none behind. --one-file-system is the second lock on that door.
child=
cleanup() {
  status=$?
  trap - EXIT INT TERM
  if [[ -n $child ]]; then
    kill -KILL "$child" 2>/dev/null || true # takes everything inside with it
    wait "$child" 2>/dev/null || true
    sleep 0.5
  fi
  if [[ $keep == yes && -d $dir ]]; then say "kept in $dir (the tree is in src)"; else rm -rf --one-file-system "$work"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ ! -s $base || -n $(find "$base" -mtime +7) ]]; then
  say "making the bare Debian 12 (once a week)"
  mkdir -p "$cache"
  # ca-certificates is the one addition to minbase: without it a host that needs local CAs reaches nothing.
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    say "debootstrap failed"
    exit 1
  }
  rm -f "$work/base"/var/cache/apt/archives/*.deb
  tar -C "$work/base" --one-file-system -cf "$base.$$" .
  mv "$base.$$" "$base"
  mv "$work/base" "$dir"
else
  mkdir "$dir"
  tar -C "$dir" -xf "$base"
fi

# The host's way to the outside: name resolution, Debian archives, proxy, local CAs, npm and Maven settings.
cp -L /etc/resolv.conf /etc/hosts "$dir/etc/" 2>/dev/null || true
awk '{ print "deb", $1, $2, "main" }' <<<"$sources" >"$dir/etc/apt/sources.list"
grep -lE '^ *Acquire' /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -Lt "$dir/etc/apt/apt.conf.d/"
mkdir -p "$dir/usr/local/share/ca-certificates" "${dir}/root/.m2"
if [[ -d /usr/local/share/ca-certificates ]]; then
  cp -RL /usr/local/share/ca-certificates/. "$dir/usr/local/share/ca-certificates/"
fi
chroot "$dir" update-ca-certificates >/dev/null 2>&1
[[ ! -f ~/.npmrc ]] || cp ~/.npmrc "${dir}/root/.npmrc"
[[ ! -f ~/.m2/settings.xml ]] || cp ~/.m2/settings.xml "${dir}/root/.m2/settings.xml"

# Of the host's environment only what says how to reach the outside; files it names are taken along.
environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "TERM=${TERM:-dumb}")
for name in http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY \
  NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE GIT_SSL_CAINFO \
  JAVA_TOOL_OPTIONS MAVEN_OPTS MAVEN_ARGS ${!npm_config_@} ${!NPM_CONFIG_@}; do
  value=${!name:-}
  [[ -n $value ]] || continue
  environment+=("$name=$value")
  if [[ -f $value && ! -e $dir$value ]]; then
    mkdir -p "$dir$(dirname "$value")"
    cp -L "$value" "$dir$value"
  fi
done

# A real clone, because some tests ask git what belongs to the tree.
if git -C "$root" rev-parse -q --verify HEAD >/dev/null; then
  git clone -q --depth 1 "file://$root" "$dir/src"
  git -C "$dir/src" remote remove origin
elif [[ $source == worktree ]]; then
  git init -q "$dir/src"
else
  say "nothing is committed yet; use --worktree"
  exit 1
fi
if [[ $source == worktree ]]; then
  find "$dir/src" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
  # Files deleted but still tracked are listed too, hence the test.
  (cd "$root" && git ls-files -coz --exclude-standard | while IFS= read -r -d '' file; do
    [[ ! -e $file && ! -L $file ]] || printf '%s\0' "$file"
  done | tar --null -T - -cf -) | tar -C "$dir/src" -xf -
fi
chown -R 0:0 "$dir/src"

say "running in a bare Debian $(cat "$dir/etc/debian_version"): $*"
# The shell inside is process 1 of a pid namespace: when it ends, so does everything the command left running.
status=0
unshare --mount --propagation private --pid --fork --kill-child bash -c '
  set -eu
  dir=$1; shift
  mount -t proc proc "$dir/proc" || mount --rbind /proc "$dir/proc"
  mount --rbind /sys "$dir/sys"
  mount --rbind /dev "$dir/dev"
  status=0
  chroot "$dir" env -i "$@" || status=$?
  exit "$status"' fresh "$dir" "${environment[@]}" \
  bash -c 'cd /src && exec "$@"' fresh "$@" <&0 &
# In the background, because bash would put off a signal until a command in the foreground ends.
child=$!
wait "$child" || status=$?
child=
exit "$status"
