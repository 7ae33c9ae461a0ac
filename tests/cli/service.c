/* A service of Type=notify: says that it is ready, as sd_notify(3) describes, and waits to be ended. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return 2;
    memcpy(address.sun_path, path, strlen(path));
    int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (sendto(sender, "READY=1", 7, 0, (struct sockaddr *)&address, sizeof address) != 7) {
        perror("sendto");
        return 1;
    }
    pause();
    return 0;
}
