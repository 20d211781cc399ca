/* How late a deadline's answer is, beside how late a bare timerfd loop is: alternating, in one thread, on one clock.
 *
 * Usage: lateness SOCKET COUNT SQL
 * Each deadline is 1 to 20 ms away. The statement must run longer. A lateness goes from the deadline (of the timer) to just
 * after the read that shows it; for the sidecar the way there and back over the socket is in it. Prints JSON, microseconds. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "lateness: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t varint(uint8_t *out, uint64_t value) {
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) out[count++] = (uint8_t)value | 0x80;
    out[count++] = (uint8_t)value;
    return count;
}

/* Request { id = 1; deadline_nanoseconds = 3; read_only = 6; query { sql } } */
static size_t request(uint8_t *out, uint64_t id, uint64_t deadline, const char *sql) {
    size_t length = 4, sql_length = strlen(sql);
    out[length++] = 0x08, length += varint(out + length, id);
    out[length++] = 0x18, length += varint(out + length, deadline);
    out[length++] = 0x30, out[length++] = 1;
    uint8_t prefix[16];
    size_t prefix_length = 1 + varint(prefix + 1, sql_length);
    prefix[0] = 0x0A;
    out[length++] = 0x82, out[length++] = 0x02, length += varint(out + length, prefix_length + sql_length);
    memcpy(out + length, prefix, prefix_length), length += prefix_length;
    memcpy(out + length, sql, sql_length), length += sql_length;
    uint32_t body = (uint32_t)length - 4;
    out[0] = body >> 24, out[1] = body >> 16, out[2] = body >> 8, out[3] = body;
    return length;
}

static void read_all(int descriptor, uint8_t *out, size_t count) {
    while (count > 0) {
        ssize_t got = read(descriptor, out, count);
        if (got <= 0) fail("read");
        out += got, count -= got;
    }
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void print(const char *name, uint64_t *values, size_t count) {
    /* Bounds of the histogram, microseconds. */
    static const uint64_t bounds[] = {25, 50, 100, 200, 500, 1000, 2000, 5000, 10000, UINT64_MAX / 1000};
    size_t at = 0;
    qsort(values, count, sizeof *values, compare);
    printf("\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"histogram\":[", name, values[count / 2] / 1e3,
           values[count * 99 / 100] / 1e3, values[count - 1] / 1e3);
    for (size_t bound = 0; bound < sizeof bounds / sizeof *bounds; bound++) {
        size_t from = at;
        while (at < count && values[at] <= bounds[bound] * 1000) at++;
        printf("%s%zu", bound ? "," : "", at - from);
    }
    printf("]}");
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4 || strlen(arguments[3]) > 200) {
        fprintf(stderr, "usage: lateness SOCKET COUNT SQL\n");
        return 2;
    }
    size_t count = strtoul(arguments[2], NULL, 10);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
    int server = socket(AF_UNIX, SOCK_STREAM, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event) != 0) fail("epoll_ctl");
    uint64_t *bare = calloc(count, sizeof *bare), *answers = calloc(count, sizeof *answers), early = 0;
    static uint8_t frame[1 << 16];
    srand(1);
    for (size_t index = 0; index < count; index++) {
        uint64_t distance = 1000000 + (uint64_t)(rand() % 19000) * 1000, deadline = now() + distance, expirations;
        struct itimerspec setting = {.it_value = {deadline / 1000000000, deadline % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL);
        if (epoll_wait(poll, &event, 1, -1) != 1 || read(timer, &expirations, 8) != 8) fail("timer");
        bare[index] = now() - deadline;

        deadline = now() + distance;
        size_t length = request(frame, index + 1, deadline, arguments[3]);
        if (write(server, frame, length) != (ssize_t)length) fail("write");
        read_all(server, frame, 4);
        size_t body = (size_t)frame[0] << 24 | frame[1] << 16 | frame[2] << 8 | frame[3];
        if (body > sizeof frame) fail("a frame too long");
        read_all(server, frame, body);
        uint64_t time = now();
        /* The id, then status = 4: DEADLINE_EXCEEDED. */
        uint8_t id[10];
        size_t id_length = varint(id, index + 1);
        if (frame[0] != 0x08 || memcmp(frame + 1, id, id_length) != 0 || frame[1 + id_length] != 0x10 ||
            frame[2 + id_length] != 4) {
            fprintf(stderr, "lateness: answer %zu is no DEADLINE_EXCEEDED\n", index);
            return 1;
        }
        if (time < deadline) early++;
        answers[index] = time < deadline ? 0 : time - deadline;
    }
    printf("{\"count\":%zu,\"early\":%llu,", count, (unsigned long long)early);
    print("timerfd", bare, count);
    printf(",");
    print("prism", answers, count);
    printf("}\n");
    return 0;
}
