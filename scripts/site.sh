# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# The documents as a site, in build/site. Nothing is loaded once the tools are there.

# MkDocs lists the themes that it has.
has_theme() { mkdocs build --help 2>/dev/null | grep '[[|]material[]|]' >/dev/null; }

# MkDocs stops at a link to a page that is not there (--strict), but does not look at
# places within pages, nor at folders: doc/site does.
make_site() {
    rm -rf build/site build/site-pages
    mkdir -p build
    go run ./doc/site pages . build/site-pages
    mkdocs build --quiet --strict >build/site.log 2>&1 || {
        cat build/site.log >&2
        die "mkdocs found faults in the documents (log: build/site.log)"
    }
    go run ./doc/site check build/site >build/site-links.log || {
        grep '^dead: ' build/site-links.log >&2
        die "the documents have dead links"
    }
}

# picture URL WIDTH HEIGHT FILE [FLAG...]: what a browser shows of a page. Pages are complete when they are loaded.
picture() {
    rm -f "$4"
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "--window-size=$2,$3" \
        --user-data-dir=build/pictures/browser "--screenshot=$PWD/$4" "${@:5}" "$1" >build/site-picture.log 2>&1 || true
    [ -s "$4" ] || {
        tail -n 5 build/site-picture.log >&2
        die "chromium made no picture of $1 (log: build/site-picture.log)"
    }
}

# Of what a reader sees first, of a guide, of a table with its drawing, and of Korean.
site_pictures() {
    local page
    mkdir -p build/pictures
    for page in index doc/getting-started doc/performance README.ko doc/ko/getting-started; do
        picture "file://$PWD/build/site/$page.html" 1280 1000 "build/pictures/${page//\//-}.png"
    done
}

# A server that is busy, in zlink-top in a terminal. All is Go.
picture_of_top() {
    local dir stats game columns=152 rows=22
    dir=$(mktemp -d)
    stats=$dir/game
    export CGO_ENABLED=0
    go build -o "$dir/" ./tools/zlink-top
    go build -o "$dir/game-server" ./doc/site/scene
    "$dir/game-server" "$stats" >"$dir/log" &
    game=$!
    until grep -q 'all have come' "$dir/log"; do
        kill -0 "$game" || return 1
        sleep 0.1
    done
    TMUX_TMPDIR=$dir tmux -f /dev/null new-session -d -s top -x "$columns" -y "$rows" "$dir/zlink-top --sort bytes-out $stats"
    sleep 10 # the queues of those who are slow fill
    TMUX_TMPDIR=$dir tmux capture-pane -p -e -t top | go run ./doc/site terminal >"$dir/top.html"
    TMUX_TMPDIR=$dir tmux kill-server
    kill "$game"
    wait "$game" 2>/dev/null || true
    picture "file://$dir/top.html" "$((columns * 9 + 40))" "$((rows * 20 + 28))" doc/pictures/zlink-top.png
    rm -r "$dir"
}

has_hangul() { [ -n "$(fc-list :lang=ko 2>/dev/null)" ]; }

cmd_site() {
    local pictures=
    case $* in
        '') ;;
        --pictures) pictures=yes ;;
        *) die "site does not know '$*'; see ./build.sh help" ;;
    esac
    [ -z "$pictures" ] || need chromium tmux
    need_go
    need mkdocs
    has_theme || required+=(mkdocs-material)
    if [ -n "$pictures" ] || command -v chromium >/dev/null; then want has_hangul "Hangul in pictures" fonts-nanum; fi
    install_missing
    if [ -n "$pictures" ]; then
        mkdir -p build/pictures doc/pictures
        (picture_of_top)
        ls doc/pictures/*.png
    fi
    make_site
    echo "build/site: $(find build/site -name '*.html' | wc -l) pages; open build/site/index.html"
    echo "to search in it, too: python3 -m http.server -d build/site"
    echo "links that lead elsewhere, not followed: $(grep -c '^not followed: ' build/site-links.log) (build/site-links.log)"
    if command -v chromium >/dev/null; then
        site_pictures
        echo "build/pictures: what $(find build/pictures -maxdepth 1 -name '*.png' | wc -l) of its pages look like"
    else
        echo "left out, as chromium is not here: pictures of its pages, in build/pictures"
    fi
}
