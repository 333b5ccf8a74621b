/* SPDX-License-Identifier: MPL-2.0 */
/* Chat rooms: ./cpp_chat [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave it, and
 * "ROOM text" to say something to the others in it. */
#include <cstdio>
#include <memory>
#include <string>
#include <zlink.hpp>

static constexpr int longest = 1000, most_rooms = 1000;

static void serve (zlink::socket &server, zlink::message &message)
{
    std::string text (message.text ());
    zlink::peer_id peer = message.peer ();
    int *entered = message.peer_data<int> ();
    if (text[0] == '+') {
        if (*entered < most_rooms && server.join (peer, text.substr (1)))
            ++*entered;
    } else if (text[0] == '-')
        (void) server.leave (peer, text.substr (1));
    else
        (void) server.publish (text.substr (0, text.find (' ')), message, true);
}

int main (int argc, char **argv)
{
    zlink::context context = zlink::context::open ().value ();
    zlink::socket server = zlink::socket::open (context).value ();
    server.set (zlink::options::peer_data, 1).value ();
    server.set (zlink::options::maxmsgsize, longest).value ();
    server.bind (argc > 1 ? argv[1] : "tcp://127.0.0.1:5555").value ();
    std::printf ("%s\n", server.last_endpoint ().value ().c_str ());
    std::fflush (stdout);
    zlink::message message;
    while (server.receive (message)) {
        if (message.event () == zlink::event::connected)
            (void) server.set_peer_data (message.peer (), std::make_unique<int> (0));
        else if (message.is_data () && message.peer_data<int> ())
            serve (server, message);
    } /* who goes leaves all rooms */
}
