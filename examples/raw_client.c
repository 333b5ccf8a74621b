/* A client without zlink, as a game would have it: sends one message to a
 * server and prints the answer: ./raw_client 5555 hello */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_all (int fd, void *buf, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read (fd, (char *) buf + done, size - done);
        if (n <= 0)
            return -1;
        done += (size_t) n;
    }
    return 0;
}

int main (int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) atoi (argv[1])),
                             .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    if (connect (fd, (struct sockaddr *) &to, sizeof to) != 0) {
        perror ("connect");
        return 1;
    }

    uint32_t size = (uint32_t) strlen (argv[2]);
    uint32_t length = htonl (size);
    char answer[1024];
    if (write (fd, &length, 4) != 4 || write (fd, argv[2], size) != size
        || read_all (fd, &length, 4) != 0 || ntohl (length) > sizeof answer
        || read_all (fd, answer, ntohl (length)) != 0) {
        fprintf (stderr, "no answer\n");
        return 1;
    }
    printf ("%.*s\n", (int) ntohl (length), answer);
    close (fd);
    return 0;
}
