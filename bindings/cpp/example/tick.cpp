/* SPDX-License-Identifier: MPL-2.0 */
/* A game at 30 Hz: ./cpp_tick [ENDPOINT]. Players send how far they move, one byte for each of two directions.
 * Every tick all get the places of all. A player who reads slowly gets the newest state, however many
 * ticks it has missed. */
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <thread>
#include <zlink.hpp>

static constexpr std::uint64_t world = 1; /* the key of the state */

struct state
{
    std::uint32_t tick = 0, present = 0;
    std::array<std::array<std::int16_t, 2>, 1024> place{};
};
static state now;
static std::mutex lock;

static void run_ticks (zlink::socket &server)
{
    for (auto next = std::chrono::steady_clock::now ();;) {
        std::this_thread::sleep_until (next += std::chrono::nanoseconds (1'000'000'000 / 30));
        zlink::result<zlink::message> message = [] {
            std::lock_guard<std::mutex> held (lock);
            now.tick++;
            return zlink::message::copy (zlink::bytes (&now, sizeof now));
        }();
        auto took = message ? server.publish_key ("players", world, *message) : message.error ();
        if (!took && !took.error ().again ())
            return; /* the end */
    }
}

static void play (zlink::socket &server, const zlink::message &message)
{
    std::lock_guard<std::mutex> held (lock);
    auto &place = now.place[message.peer () % now.place.size ()];
    if (message.event () == zlink::event::connected) {
        now.present++;
        place = {};
        (void) server.join (message.peer (), "players");
    } else if (message.event () == zlink::event::disconnected)
        now.present--;
    else if (message.is_data () && message.size () == 2)
        for (std::size_t i = 0; i < 2; i++)
            place[i] = static_cast<std::int16_t> (place[i] + static_cast<std::int8_t> (message.body ()[i]));
}

int main (int argc, char **argv)
{
    zlink::context context = zlink::context::open ().value ();
    zlink::socket server = zlink::socket::open (context).value ();
    server.set (zlink::options::sndbuf, 32 << 10).value (); /* what the kernel has cannot be replaced */
    server.bind (argc > 1 ? argv[1] : "tcp://127.0.0.1:5555").value ();
    std::printf ("%s\n", server.last_endpoint ().value ().c_str ());
    std::fflush (stdout);
    std::thread ticks (run_ticks, std::ref (server));
    zlink::batch batch (256);
    while (server.receive (batch))
        for (zlink::message &message : batch)
            play (server, message);
    (void) context.shutdown ();
    ticks.join ();
}
