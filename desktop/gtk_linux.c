//go:build desktop

#include "gtk_linux.h"
#include "_cgo_export.h"
#include <string.h>

#ifdef GDK_WINDOWING_X11
#include <gdk/gdkx.h>
#endif

static GtkWindow *window;
static WebKitWebView *view;
static GtkBox *box; // of the menu bar, the page and what is told below it

// --- threads

static gboolean call_soon(gpointer call)
{
    tocsinCall((uintptr_t)call);
    return G_SOURCE_REMOVE;
}

void tocsin_soon(uintptr_t call, int late)
{
    // Late is after what the toolkit itself put off when the window was made.
    g_idle_add_full(late ? G_PRIORITY_LOW : G_PRIORITY_HIGH_IDLE, call_soon, (gpointer)call, NULL);
}

// --- where pages may lead

// The first page, of the program itself, is shown when it was asked for here, once: no page leads there, and neither does the way back.
static int inside = 1; // Wails asked for it before us

static int first(const char *uri)
{
    return uri != NULL && g_str_has_prefix(uri, "wails:");
}

static int ours(const char *uri)
{
    return uri != NULL && (g_str_has_prefix(uri, "about:") || tocsinOurs((char *)uri) != 0);
}

static gboolean decide(WebKitWebView *v, WebKitPolicyDecision *decision, WebKitPolicyDecisionType type, gpointer unused)
{
    if (type == WEBKIT_POLICY_DECISION_TYPE_RESPONSE) {
        WebKitResponsePolicyDecision *r = WEBKIT_RESPONSE_POLICY_DECISION(decision);
        WebKitURIResponse *response = webkit_response_policy_decision_get_response(r);
        SoupMessageHeaders *headers = webkit_uri_response_get_http_headers(response);
        char *disposition = NULL;
        int attached = 0;
        if (headers != NULL && soup_message_headers_get_content_disposition(headers, &disposition, NULL)) {
            attached = g_ascii_strcasecmp(disposition, "attachment") == 0;
            g_free(disposition);
        }
        if (!attached && webkit_response_policy_decision_is_mime_type_supported(r)) {
            return FALSE;
        }
        webkit_policy_decision_download(decision);
        return TRUE;
    }
    WebKitNavigationAction *action = webkit_navigation_policy_decision_get_navigation_action(WEBKIT_NAVIGATION_POLICY_DECISION(decision));
    const char *uri = webkit_uri_request_get_uri(webkit_navigation_action_get_request(action));
    if (first(uri)) {
        if (inside && type == WEBKIT_POLICY_DECISION_TYPE_NAVIGATION_ACTION) {
            inside = 0;
            return FALSE;
        }
        webkit_policy_decision_ignore(decision);
        return TRUE;
    }
    if (!ours(uri)) {
        // Links that somebody pressed, and nothing that a page does by itself.
        if (webkit_navigation_action_is_user_gesture(action)) {
            tocsinElsewhere((char *)uri);
        }
        webkit_policy_decision_ignore(decision);
        return TRUE;
    }
    if (type == WEBKIT_POLICY_DECISION_TYPE_NEW_WINDOW_ACTION) {
        webkit_web_view_load_request(v, webkit_navigation_action_get_request(action)); // there is one window
        webkit_policy_decision_ignore(decision);
        return TRUE;
    }
    return FALSE;
}

static void died(WebKitWebView *v, WebKitWebProcessTerminationReason reason, gpointer unused)
{
    tocsinDied(reason);
}

static guint hang;

static gboolean hung(gpointer unused)
{
    hang = 0;
    webkit_web_view_terminate_web_process(view);
    return G_SOURCE_REMOVE;
}

static void responds(GObject *v, GParamSpec *p, gpointer unused)
{
    if (hang != 0) {
        g_source_remove(hang);
        hang = 0;
    }
    if (!webkit_web_view_get_is_web_process_responsive(view)) {
        hang = g_timeout_add_seconds(30, hung, NULL);
    }
}

// WebKit notices that a page hangs only when somebody touches it, and nobody touches a wall: it is asked. Elsewhere it is not, because a page that waits
// for an answer in a dialog of its own hangs, too.
static int unattended;
static gint64 asked; // microseconds; 0 while no answer is owed

static void alive(GObject *v, GAsyncResult *result, gpointer unused)
{
    JSCValue *value = webkit_web_view_evaluate_javascript_finish(view, result, NULL);
    g_clear_object(&value);
    asked = 0;
}

static gboolean ask(gpointer unused)
{
    if (!unattended) {
        asked = 0;
    } else if (asked == 0) {
        asked = g_get_monotonic_time();
        webkit_web_view_evaluate_javascript(view, "1", -1, NULL, NULL, NULL, alive, NULL);
    } else if (g_get_monotonic_time() - asked > 30 * G_USEC_PER_SEC) {
        asked = 0;
        webkit_web_view_terminate_web_process(view);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean unloaded(WebKitWebView *v, WebKitLoadEvent event, char *uri, GError *error, gpointer unused)
{
    if (g_error_matches(error, WEBKIT_NETWORK_ERROR, WEBKIT_NETWORK_ERROR_CANCELLED) || error->domain == WEBKIT_POLICY_ERROR || (!first(uri) && !ours(uri))) {
        return FALSE;
    }
    tocsinUnloaded(error->message);
    return FALSE;
}

// WebKit has been seen to lose what it painted when page and size change at once. At another size it paints anew, here of one line of pixels below the
// page, in its ground, and for a moment; queueing a draw only shows again what was painted.
static guint narrow;

static gboolean widen(gpointer unused)
{
    narrow = 0;
    gtk_widget_set_margin_bottom(GTK_WIDGET(view), 0);
    return G_SOURCE_REMOVE;
}

static void paint_anew(void)
{
    if (narrow == 0) {
        gtk_widget_set_margin_bottom(GTK_WIDGET(view), 1);
        narrow = g_timeout_add(200, widen, NULL);
    }
}

static enum { SHOWN, ASKED, COMING } loading; // of what was asked for here

static void loaded(WebKitWebView *v, WebKitLoadEvent event, gpointer unused)
{
    const char *uri = webkit_web_view_get_uri(v);
    if (event == WEBKIT_LOAD_COMMITTED && loading == ASKED && uri != NULL && g_str_has_prefix(uri, "http:") && strstr(uri, "/.desk/enter/") == NULL) {
        loading = COMING; // and not the page that only leads to it
    } else if (event == WEBKIT_LOAD_FINISHED && loading == COMING) {
        loading = SHOWN;
        paint_anew();
    }
}

void tocsin_load(const char *uri)
{
    inside = first(uri);
    loading = ASKED;
    webkit_web_view_load_uri(view, uri);
}

// --- files

static gboolean destination(WebKitDownload *d, char *suggested, gpointer unused)
{
    const char *dir = g_get_user_special_dir(G_USER_DIRECTORY_DOWNLOAD);
    char *path = tocsinFile((char *)(dir != NULL ? dir : ""), suggested);
    if (path == NULL) {
        webkit_download_cancel(d);
        return TRUE;
    }
    webkit_download_set_destination(d, path);
    g_free(path);
    return TRUE;
}

static void fetched(WebKitDownload *d, gpointer unused)
{
    if (g_object_get_data(G_OBJECT(d), "failed") == NULL) {
        tocsinFetched((char *)webkit_download_get_destination(d), NULL);
    }
}

static void unfetched(WebKitDownload *d, GError *error, gpointer unused)
{
    g_object_set_data(G_OBJECT(d), "failed", (gpointer)1); // "finished" follows
    tocsinFetched((char *)webkit_download_get_destination(d), error->message);
}

static void download(WebKitWebContext *c, WebKitDownload *d, gpointer unused)
{
    g_signal_connect(d, "decide-destination", G_CALLBACK(destination), NULL);
    g_signal_connect(d, "finished", G_CALLBACK(fetched), NULL);
    g_signal_connect(d, "failed", G_CALLBACK(unfetched), NULL);
}

// --- paper

static void printed(WebKitPrintOperation *op, gpointer unused)
{
    if (g_object_get_data(G_OBJECT(op), "failed") == NULL) {
        tocsinPrinted(g_object_get_data(G_OBJECT(op), "uri"), NULL);
    }
    g_object_unref(op);
}

static void unprinted(WebKitPrintOperation *op, GError *error, gpointer unused)
{
    g_object_set_data(G_OBJECT(op), "failed", (gpointer)1); // "finished" follows
    tocsinPrinted(g_object_get_data(G_OBJECT(op), "uri"), error->message);
}

static WebKitPrintOperation *paper(void)
{
    WebKitPrintOperation *op = webkit_print_operation_new(view);
    g_signal_connect(op, "finished", G_CALLBACK(printed), NULL);
    g_signal_connect(op, "failed", G_CALLBACK(unprinted), NULL);
    return op;
}

int tocsin_print(void)
{
    WebKitPrintOperation *op = paper();
    if (webkit_print_operation_run_dialog(op, window) == WEBKIT_PRINT_OPERATION_RESPONSE_PRINT) {
        return 1;
    }
    g_object_unref(op);
    return 0;
}

void tocsin_pdf(const char *uri)
{
    WebKitPrintOperation *op = paper();
    GtkPrintSettings *settings = gtk_print_settings_new();
    gtk_print_settings_set(settings, GTK_PRINT_SETTINGS_OUTPUT_URI, uri);
    gtk_print_settings_set(settings, GTK_PRINT_SETTINGS_OUTPUT_FILE_FORMAT, "pdf");
    gtk_print_settings_set_printer(settings, g_dgettext("gtk30", "Print to File")); // GTK's name for it is in the language of the desktop
    webkit_print_operation_set_print_settings(op, settings);
    g_object_unref(settings);
    g_object_set_data_full(G_OBJECT(op), "uri", g_strdup(uri), g_free);
    webkit_print_operation_print(op);
}

// --- the window

static GdkRectangle before; // of a window that fills a screen without a window manager; width 0 while it does not

static void moved(void)
{
    int x = 0, y = 0, width = 0, height = 0, state = 0;
    GdkWindow *w = gtk_widget_get_window(GTK_WIDGET(window));
    if (w == NULL) {
        return;
    }
    if (before.width != 0) {
        tocsinMoved(before.x, before.y, before.width, before.height, 0, 1);
        return;
    }
    gtk_window_get_position(window, &x, &y);
    gtk_window_get_size(window, &width, &height);
    state = gdk_window_get_state(w);
    tocsinMoved(x, y, width, height, (state & GDK_WINDOW_STATE_MAXIMIZED) != 0, (state & GDK_WINDOW_STATE_FULLSCREEN) != 0);
}

static gboolean configured(GtkWidget *w, GdkEventConfigure *e, gpointer unused)
{
    moved();
    return FALSE;
}

static gboolean changed(GtkWidget *w, GdkEventWindowState *e, gpointer unused)
{
    moved();
    return FALSE;
}

static gboolean focused(GtkWidget *w, GdkEventFocus *e, gpointer unused)
{
    gtk_window_set_urgency_hint(window, FALSE);
    return FALSE;
}

static int managed(void)
{
#ifdef GDK_WINDOWING_X11
    GdkScreen *screen = gtk_window_get_screen(window);
    if (GDK_IS_X11_SCREEN(screen)) {
        return gdk_x11_screen_supports_net_wm_hint(screen, gdk_atom_intern_static_string("_NET_WM_STATE_FULLSCREEN"));
    }
#endif
    return 1;
}

void tocsin_fullscreen(int on)
{
    if (managed()) {
        on ? gtk_window_fullscreen(window) : gtk_window_unfullscreen(window);
    } else if (on && before.width == 0) {
        gtk_window_get_position(window, &before.x, &before.y);
        gtk_window_get_size(window, &before.width, &before.height);
        GdkRectangle all;
        GdkDisplay *display = gtk_widget_get_display(GTK_WIDGET(window));
        GdkMonitor *m = gdk_display_get_monitor_at_point(display, before.x + before.width / 2, before.y + before.height / 2);
        gdk_monitor_get_geometry(m, &all);
        gtk_window_move(window, all.x, all.y);
        gtk_window_resize(window, all.width, all.height);
    } else if (!on && before.width != 0) {
        gtk_window_move(window, before.x, before.y);
        gtk_window_resize(window, before.width, before.height);
        before.width = 0;
    }
    if (loading == SHOWN) { // otherwise it comes with the page
        paint_anew();
    }
}

void tocsin_min_size(int width, int height)
{
    GdkGeometry size = {.min_width = width, .min_height = height};
    gtk_window_set_geometry_hints(window, NULL, &size, GDK_HINT_MIN_SIZE);
}

void tocsin_place(int x, int y, int width, int height, int maximised)
{
    gtk_window_resize(window, width, height);
    gtk_window_move(window, x, y);
    if (maximised) {
        gtk_window_maximize(window);
    }
}

int tocsin_screens(GdkRectangle *areas, int most)
{
    GdkDisplay *display = gtk_widget_get_display(GTK_WIDGET(window));
    int n = gdk_display_get_n_monitors(display), at = 0;
    for (int pass = 0; pass < 2; pass++) { // the first one first
        for (int i = 0; i < n && at < most; i++) {
            GdkMonitor *m = gdk_display_get_monitor(display, i);
            if (gdk_monitor_is_primary(m) == (pass == 0)) {
                gdk_monitor_get_workarea(m, &areas[at++]);
            }
        }
    }
    return at;
}

void tocsin_title(const char *title)
{
    gtk_window_set_title(window, title);
}

void tocsin_run(const char *script)
{
    webkit_web_view_evaluate_javascript(view, script, -1, NULL, NULL, NULL, NULL, NULL);
}

void tocsin_zoom(double factor)
{
    webkit_web_view_set_zoom_level(view, factor);
}

void tocsin_urgent(int on)
{
    gtk_window_set_urgency_hint(window, on && !gtk_window_is_active(window));
}

void tocsin_present(const char *token)
{
    if (token != NULL && *token != 0) {
        gtk_window_set_startup_id(window, token);
    }
    guint32 now = GDK_CURRENT_TIME;
#ifdef GDK_WINDOWING_X11
    GdkWindow *w = gtk_widget_get_window(GTK_WIDGET(window));
    if (w != NULL && GDK_IS_X11_WINDOW(w)) {
        now = gdk_x11_get_server_time(w);
    }
#endif
    gtk_window_present_with_time(window, now);
}

// --- a pointer that hides while nobody moves it

static int hiding;
static guint still;

static void pointer(int hide)
{
    GdkWindow *w = gtk_widget_get_window(GTK_WIDGET(view));
    if (w == NULL) {
        return;
    }
    GdkCursor *c = hide ? gdk_cursor_new_for_display(gdk_window_get_display(w), GDK_BLANK_CURSOR) : NULL;
    gdk_window_set_cursor(w, c);
    g_clear_object(&c);
}

static gboolean stands(gpointer unused)
{
    still = 0;
    pointer(1);
    return G_SOURCE_REMOVE;
}

static gboolean moves(GtkWidget *w, GdkEvent *e, gpointer unused)
{
    if (!hiding) {
        return FALSE;
    }
    if (still == 0) {
        pointer(0);
    } else {
        g_source_remove(still);
    }
    still = g_timeout_add_seconds(3, stands, NULL);
    return FALSE;
}

void tocsin_kiosk(int on)
{
    unattended = on;
    hiding = on;
    if (still != 0) {
        g_source_remove(still);
        still = 0;
    }
    pointer(0);
    if (on) {
        still = g_timeout_add_seconds(3, stands, NULL);
    }
}

// --- one sentence below the page

static GtkWidget *told;
static guint telling;

static gboolean untell(gpointer unused)
{
    telling = 0;
    g_clear_pointer(&told, gtk_widget_destroy);
    gtk_widget_grab_focus(GTK_WIDGET(view));
    return G_SOURCE_REMOVE;
}

static void answered(GtkInfoBar *b, int response, gpointer unused)
{
    if (response == 1) {
        tocsinFolder(g_object_get_data(G_OBJECT(b), "folder"));
    }
    if (telling != 0) {
        g_source_remove(telling);
    }
    untell(NULL);
}

void tocsin_tell(const char *text, const char *folder, int bad)
{
    if (telling != 0) {
        g_source_remove(telling);
        telling = 0;
    }
    g_clear_pointer(&told, gtk_widget_destroy);
    told = gtk_info_bar_new();
    gtk_info_bar_set_message_type(GTK_INFO_BAR(told), bad ? GTK_MESSAGE_ERROR : GTK_MESSAGE_OTHER);
    gtk_info_bar_set_show_close_button(GTK_INFO_BAR(told), TRUE);
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_container_add(GTK_CONTAINER(gtk_info_bar_get_content_area(GTK_INFO_BAR(told))), label);
    if (folder != NULL && *folder != 0) {
        gtk_info_bar_add_button(GTK_INFO_BAR(told), "Open folder", 1);
        g_object_set_data_full(G_OBJECT(told), "folder", g_strdup(folder), g_free);
    }
    g_signal_connect(told, "response", G_CALLBACK(answered), NULL);
    gtk_box_pack_end(box, told, FALSE, FALSE, 0);
    gtk_widget_show_all(told);
    telling = g_timeout_add_seconds(bad ? 30 : 12, untell, NULL);
}

// --- finding what Wails made

static void look(GtkWidget *w, gpointer unused)
{
    if (WEBKIT_IS_WEB_VIEW(w)) {
        view = WEBKIT_WEB_VIEW(w);
    } else if (GTK_IS_CONTAINER(w) && view == NULL) {
        gtk_container_forall(GTK_CONTAINER(w), look, NULL);
    }
}

int tocsin_install(void)
{
    GList *all = gtk_window_list_toplevels();
    for (GList *l = all; l != NULL && view == NULL; l = l->next) {
        look(GTK_WIDGET(l->data), NULL);
    }
    g_list_free(all);
    if (view == NULL) {
        return 0;
    }
    GtkWidget *top = gtk_widget_get_toplevel(GTK_WIDGET(view));
    GtkWidget *child = GTK_IS_BIN(top) ? gtk_bin_get_child(GTK_BIN(top)) : NULL;
    if (!GTK_IS_WINDOW(top) || !GTK_IS_BOX(child)) {
        return 0;
    }
    window = GTK_WINDOW(top);
    box = GTK_BOX(child);
    // Wails does what pages tell it by this, and looks at an address that a page can choose. Nothing of ours talks to it.
    webkit_user_content_manager_unregister_script_message_handler(webkit_web_view_get_user_content_manager(view), "external");
    gtk_window_set_icon_name(window, "tocsin");
    tocsin_menu_home(window, box);
    g_signal_connect(view, "decide-policy", G_CALLBACK(decide), NULL);
    g_signal_connect(view, "web-process-terminated", G_CALLBACK(died), NULL);
    g_signal_connect(view, "notify::is-web-process-responsive", G_CALLBACK(responds), NULL);
    g_timeout_add_seconds(10, ask, NULL);
    g_signal_connect(view, "load-changed", G_CALLBACK(loaded), NULL);
    g_signal_connect(view, "load-failed", G_CALLBACK(unloaded), NULL);
    g_signal_connect(view, "motion-notify-event", G_CALLBACK(moves), NULL);
    g_signal_connect(webkit_web_view_get_context(view), "download-started", G_CALLBACK(download), NULL);
    g_signal_connect(window, "configure-event", G_CALLBACK(configured), NULL);
    g_signal_connect(window, "window-state-event", G_CALLBACK(changed), NULL);
    g_signal_connect(window, "focus-in-event", G_CALLBACK(focused), NULL);
    return 1;
}
