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

# picture PAGE FILE: what a browser shows of a page. Pages are complete when they are loaded.
picture() {
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,900 \
        --user-data-dir=build/site-browser "--screenshot=$PWD/$2" "file://$PWD/$1" >build/site-picture.log 2>&1 || true
    [ -s "$2" ] || {
        tail -n 5 build/site-picture.log >&2
        die "chromium made no picture of $1 (log: build/site-picture.log)"
    }
}

cmd_site() {
    [ $# -eq 0 ] || die "site takes no arguments"
    need_go
    need mkdocs
    has_theme || required+=(mkdocs-material)
    install_missing
    make_site
    echo "build/site: $(find build/site -name '*.html' | wc -l) pages; open build/site/index.html"
    echo "links that lead elsewhere, not followed: $(grep -c '^not followed: ' build/site-links.log) (build/site-links.log)"
    if command -v chromium >/dev/null; then
        picture build/site/index.html build/site.png
        echo "build/site.png: its first page"
    else
        echo "left out, as chromium is not here: build/site.png, a picture of its first page"
    fi
}
