/* Telling systemd (or whoever set NOTIFY_SOCKET) how the service is: sd_notify(3)'s protocol, without its library. */
#ifndef SERVICE_SERVICE_NOTIFY_H
#define SERVICE_SERVICE_NOTIFY_H

/* "READY=1", "STOPPING=1". Does nothing when nobody asked. */
void service_notify(const char *state);

#endif
