/* SPDX-License-Identifier: MPL-2.0 */
/* A server that sends every message back: ./cpp_echo [ENDPOINT] */
#include <cstdio>
#include <zlink.hpp>

int main (int argc, char **argv)
{
    zlink::context context = zlink::context::open ().value ();
    zlink::socket server = zlink::socket::open (context).value ();
    server.set (zlink::options::profile, ZLINK_STREAM_PROFILE_PUBLIC).value ();
    if (auto bound = server.bind (argc > 1 ? argv[1] : "tcp://127.0.0.1:5555"); !bound) {
        std::fprintf (stderr, "%s\n", bound.error ().text ().c_str ());
        return 1;
    }
    std::printf ("listening on %s\n", server.last_endpoint ().value ().c_str ());
    std::fflush (stdout);
    auto refused = [&] (zlink::message &message, const zlink::error &error) {
        if (error.again ()) /* there is no room for it */
            (void) server.abort_peer (message.peer ());
    };
    zlink::batch batch (256);
    while (server.receive (batch))
        server.try_send_all (batch, refused).value ();
}
