/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server on standalone Asio: bytes go back as they came. */
#include "server.hpp"
#include "session.hpp"

namespace
{
class tcp_state
{
  public:
    explicit tcp_state (const config &) {}

    std::shared_ptr<session> make_session (asio::ip::tcp::socket socket)
    {
        return std::make_shared<session> (std::move (socket), input_);
    }

  private:
    read_buffer input_;
};
}

int main (int argc, char **argv)
{
    return server_main<tcp_state> (argc, argv);
}
