//go:build desktop

#include "gtk_linux.h"
#include "_cgo_export.h"

// The menu bar: Wails makes one before there is a window, and none later.

static GtkWindow *window;
static GtkBox *box;
static GtkWidget *bar;
static GtkAccelGroup *keys;
static int bar_wanted = 1;

static void activated(GtkMenuItem *item, gpointer id)
{
    if (GTK_IS_CHECK_MENU_ITEM(item)) {
        // What is checked is said by the menu that is put here, not by the press.
        GtkCheckMenuItem *check = GTK_CHECK_MENU_ITEM(item);
        g_signal_handlers_block_by_func(item, activated, id);
        gtk_check_menu_item_set_active(check, !gtk_check_menu_item_get_active(check));
        g_signal_handlers_unblock_by_func(item, activated, id);
    }
    tocsinMenu(id);
}

static gboolean pressed(GtkAccelGroup *g, GObject *w, guint key, GdkModifierType mods, gpointer id)
{
    tocsinMenu(id);
    return TRUE;
}

GtkWidget *tocsin_menu_new(void)
{
    GtkWidget *b = gtk_menu_bar_new();
    GtkAccelGroup *g = gtk_accel_group_new();
    g_object_set_data_full(G_OBJECT(b), "keys", g, g_object_unref);
    g_object_set_data(G_OBJECT(b), "bar", b);
    return b;
}

GtkWidget *tocsin_menu_sub(GtkWidget *shell, const char *label)
{
    GtkWidget *item = gtk_menu_item_new_with_mnemonic(label), *menu = gtk_menu_new();
    g_object_set_data(G_OBJECT(menu), "bar", g_object_get_data(G_OBJECT(shell), "bar"));
    gtk_menu_item_set_submenu(GTK_MENU_ITEM(item), menu);
    gtk_menu_shell_append(GTK_MENU_SHELL(shell), item);
    return menu;
}

void tocsin_menu_item(GtkWidget *menu, const char *id, const char *label, const char *hint, unsigned key, unsigned mods, int checked, int enabled)
{
    GtkWidget *item = checked < 0 ? gtk_menu_item_new() : gtk_check_menu_item_new();
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 24), *text = gtk_accel_label_new(label);
    gtk_label_set_xalign(GTK_LABEL(text), 0);
    gtk_box_pack_start(GTK_BOX(line), text, TRUE, TRUE, 0);
    atk_object_set_name(gtk_widget_get_accessible(item), label);
    if (*hint != 0) {
        GtkWidget *h = gtk_label_new(hint);
        gtk_style_context_add_class(gtk_widget_get_style_context(h), "dim-label");
        gtk_box_pack_end(GTK_BOX(line), h, FALSE, FALSE, 0);
        atk_object_set_description(gtk_widget_get_accessible(item), hint);
    }
    gtk_container_add(GTK_CONTAINER(item), line);
    if (checked >= 0) {
        gtk_check_menu_item_set_active(GTK_CHECK_MENU_ITEM(item), checked);
    }
    gtk_widget_set_sensitive(item, enabled);
    g_signal_connect_data(item, "activate", G_CALLBACK(activated), g_strdup(id), (GClosureNotify)g_free, 0);
    if (key != 0) {
        gtk_accel_label_set_accel(GTK_ACCEL_LABEL(text), key, mods);
    }
    if (key != 0 && enabled) {
        // Not the item's own accelerator: that one sleeps while the bar is hidden, and a full screen must have a way out.
        GtkAccelGroup *g = g_object_get_data(g_object_get_data(G_OBJECT(menu), "bar"), "keys");
        gtk_accel_group_connect(g, key, mods, 0, g_cclosure_new(G_CALLBACK(pressed), g_strdup(id), (GClosureNotify)g_free));
    }
    gtk_menu_shell_append(GTK_MENU_SHELL(menu), item);
}

void tocsin_menu_separator(GtkWidget *menu)
{
    gtk_menu_shell_append(GTK_MENU_SHELL(menu), gtk_separator_menu_item_new());
}

int tocsin_menu_busy(void)
{
    return bar != NULL && gtk_menu_shell_get_selected_item(GTK_MENU_SHELL(bar)) != NULL;
}

static void deactivated(GtkMenuShell *b, gpointer unused)
{
    tocsinMenuClosed();
}

void tocsin_menu_put(GtkWidget *b)
{
    if (bar != NULL) {
        gtk_window_remove_accel_group(window, keys);
        gtk_widget_destroy(bar);
    }
    bar = b;
    keys = g_object_get_data(G_OBJECT(b), "keys");
    gtk_window_add_accel_group(window, keys);
    g_signal_connect(bar, "deactivate", G_CALLBACK(deactivated), NULL);
    gtk_box_pack_start(box, bar, FALSE, FALSE, 0);
    gtk_box_reorder_child(box, bar, 0);
    gtk_widget_show_all(bar);
    gtk_widget_set_visible(bar, bar_wanted);
}

void tocsin_menu_show(int on)
{
    bar_wanted = on;
    if (bar != NULL) {
        gtk_widget_set_visible(bar, on);
    }
}

// The inks of the pages, for what stands beside them.
static const char colours[] =
    "menubar { background: #0d1015; color: #dde2ea; box-shadow: none; }"
    "menubar menu, menubar .menu { background: #151a21; color: #dde2ea; border: 1px solid #333a45; }"
    "menubar menu separator { background: #3d4551; min-height: 1px; margin: 4px 0; }"
    "menubar menu menuitem:hover { background: #2a3340; color: #ffffff; }"
    "menubar > menuitem:hover { box-shadow: none; background: #2a3340; color: #ffffff; }"
    "menubar menu menuitem { padding-right: 12px; }"
    "menubar .dim-label, menubar menuitem accelerator { color: #a3adba; opacity: 1; }"
    "infobar > revealer > box { background: #151a21; color: #dde2ea; border-top: 1px solid #333a45; }"
    "infobar.error > revealer > box { background: #3a1518; }";

void tocsin_menu_home(GtkWindow *w, GtkBox *b)
{
    window = w;
    box = b;
    g_object_set(gtk_settings_get_default(), "gtk-application-prefer-dark-theme", TRUE, NULL);
    GtkCssProvider *ink = gtk_css_provider_new();
    gtk_css_provider_load_from_data(ink, colours, -1, NULL);
    gtk_style_context_add_provider_for_screen(gtk_window_get_screen(window), GTK_STYLE_PROVIDER(ink), GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
    g_object_unref(ink);
}
