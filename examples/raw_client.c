/* A client without zlink, as a game would have it: sends one message to a
 * server and prints the answer: ./raw_client 5555 hello */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
    LONGEST = 1024 /* body in bytes */
};

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

/* Length and body go out in one write: a body on its own would wait until the
 * server's system has acknowledged the length, which takes 40 ms or more. */
static int send_message (int fd, const char *body, uint32_t size)
{
    char frame[4 + LONGEST];
    uint32_t length = htonl (size);
    memcpy (frame, &length, 4);
    memcpy (frame + 4, body, size);
    return write (fd, frame, 4 + size) == (ssize_t) (4 + size) ? 0 : -1;
}

int main (int argc, char **argv)
{
    if (argc != 3 || strlen (argv[2]) > LONGEST) {
        fprintf (stderr, "usage: raw_client PORT TEXT\n");
        return 2;
    }
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons ((uint16_t) atoi (argv[1])),
                             .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    int fd = socket (AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* for those that follow */
    if (connect (fd, (struct sockaddr *) &to, sizeof to) != 0) {
        perror ("connect");
        return 1;
    }

    uint32_t length;
    char answer[LONGEST];
    if (send_message (fd, argv[2], (uint32_t) strlen (argv[2])) != 0
        || read_all (fd, &length, 4) != 0 || ntohl (length) > sizeof answer
        || read_all (fd, answer, ntohl (length)) != 0) {
        fprintf (stderr, "no answer\n");
        return 1;
    }
    printf ("%.*s\n", (int) ntohl (length), answer);
    close (fd);
    return 0;
}
